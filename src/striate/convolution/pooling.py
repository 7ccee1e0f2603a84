"""Pooling: one number for each window, so that the map gets smaller and small shifts matter less.

Windows of 2 with stride 2 tile the map; windows of 3 with stride 2 overlap (AlexNet). Channels are
pooled each for itself, so the number of maps stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from striate.convolution.padding import Array, Padding, PerAxis, numbers, pad, pad_widths, per_axis
from striate.convolution.size import output_shape
from striate.convolution.windows import windows
from striate.core.errors import SettingsError


def max_pool(
    maps: ArrayLike, size: PerAxis = 2, stride: PerAxis | None = None, padding: Padding = "valid", axes: int = 2
) -> Array:
    """Return the largest value in each window; the border never wins.

    Args:
        maps: … n1 … nd.
        size: Window m, or one per pooled axis.
        stride: Step s, or one per axis; None for the window's size, so that windows do not overlap.
        padding: As in `cross_correlate`, less than the window's size.
        axes: d: how many of the last axes are pooled.

    Returns:
        … o1 … od.

    Raises:
        SettingsError: The window does not fit, or could lie wholly in the border.
    """
    return np.asarray(_pooled_windows(maps, size, stride, padding, axes, fill=-np.inf).max(axis=_last(axes)))


def average_pool(
    maps: ArrayLike, size: PerAxis = 2, stride: PerAxis | None = None, padding: Padding = "valid", axes: int = 2
) -> Array:
    """Return the mean of each window; zeros of the border count, as in torch by default.

    Arguments, result and errors are those of `max_pool`.
    """
    return np.asarray(_pooled_windows(maps, size, stride, padding, axes, fill=0.0).mean(axis=_last(axes)))


def global_average_pool(maps: ArrayLike, axes: int = 2) -> Array:
    """Return one number per map: its mean over the last `axes` axes, which no cyclic shift can change.

    Raises:
        SettingsError: The input has fewer axes.
    """
    maps = numbers(maps)
    _require_axes(maps, axes)
    return np.asarray(maps.mean(axis=_last(axes)))


def _pooled_windows(
    maps: ArrayLike, size: PerAxis, stride: PerAxis | None, padding: Padding, axes: int, fill: float
) -> Array:
    maps = numbers(maps)
    _require_axes(maps, axes)
    window = per_axis(size, axes, "size")
    steps = window if stride is None else per_axis(stride, axes, "stride")
    widths = pad_widths(window, padding)
    _require_real_values(window, widths)
    output_shape(maps.shape[-axes:], window, padding, steps)  # says what is wrong where the window does not fit
    return windows(pad(maps, widths, fill), window, steps)  # … o1 … od m1 … md


def _last(axes: int) -> tuple[int, ...]:
    return tuple(range(-axes, 0))


def _require_axes(maps: Array, axes: int) -> None:
    if not 1 <= axes <= maps.ndim:
        raise SettingsError(f"cannot pool {axes} axes of an input with {maps.ndim}", where=f"shape {maps.shape}")


def _require_real_values(window: Sequence[int], widths: Sequence[tuple[int, int]]) -> None:
    for m, (before, after) in zip(window, widths, strict=True):
        if max(before, after) >= m:
            raise SettingsError(
                f"{max(before, after)} cells of border hold a whole window of {m}",
                where="padding",
                fix=f"pad with at most {m - 1}",
            )
