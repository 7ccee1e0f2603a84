"""The sliding window: every patch of the input that a kernel is laid on or that is pooled."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.lib.stride_tricks import sliding_window_view

from striate.convolution.padding import Array, PerAxis, per_axis


def windows(padded: Array, size: Sequence[int], stride: PerAxis = 1) -> Array:
    """Return all windows, as a view: no value is copied.

    windows(x, (2, 2), 1)[i, j] is x[i : i + 2, j : j + 2]; a stride s keeps every s-th of them.

    Args:
        padded: … n1 … nd, its border included.
        size: m1 … md, along the last d axes; it must fit.
        stride: One step, or one per axis.

    Returns:
        … o1 … od m1 … md: first where the window stands, then what is in it.
    """
    axes = tuple(range(-len(size), 0))
    everywhere = sliding_window_view(padded, tuple(size), axis=axes)
    leading = [slice(None)] * (padded.ndim - len(size))
    steps = [slice(None, None, s) for s in per_axis(stride, len(size), "stride")]
    view: Array = everywhere[(*leading, *steps)]
    return view
