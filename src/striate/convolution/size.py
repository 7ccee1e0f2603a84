"""How large the output of a sliding window is, and how much of the input one output value depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from striate.convolution.padding import Padding, PerAxis, pad_widths, per_axis
from striate.core.errors import SettingsError


def output_size(n: int, m: int, padding: Padding = "valid", stride: int = 1) -> int:
    """Return o = ⌊(n + 2p - m) / s⌋ + 1, the number of places a window takes along one axis.

    The floor: a last window that would hang over the border is not taken. (Document 001 prints a
    ceiling. With n = 10, m = 3, p = 2, s = 2 there are 6 places; the ceiling would make 7 of them.)

    Args:
        n: Length of the input, 1 or more.
        m: Length of the window, 1 or more.
        padding: A mode or p; 2p is then the zeros before and after together.
        stride: The step s between places, 1 or more.

    Raises:
        SettingsError: The window is longer than the padded input.
    """
    return output_shape([n], [m], padding, stride)[0]


def output_shape(
    shape: Sequence[int], window: Sequence[int], padding: Padding = "valid", stride: PerAxis = 1
) -> tuple[int, ...]:
    """Return `output_size` along each axis.

    Raises:
        SettingsError: Input and window differ in the number of axes, or the window does not fit.
    """
    if len(shape) != len(window):
        raise SettingsError(
            f"the window has {len(window)} axes, the input {len(shape)}", where=f"{tuple(window)} on {tuple(shape)}"
        )
    strides = per_axis(stride, len(window), "stride")
    sizes = []
    for n, m, (before, after), s in zip(shape, window, pad_widths(window, padding), strides, strict=True):
        if n < 1 or m < 1:
            raise SettingsError("lengths are 1 or more", where=f"window of {m} on input of {n}")
        if m > n + before + after:
            raise SettingsError(
                f"a window of {m} does not fit into {n} values with {before + after} zeros",
                where=f"{tuple(window)} on {tuple(shape)}",
                fix="use a smaller window or more padding",
            )
        sizes.append((n + before + after - m) // s + 1)
    return tuple(sizes)


def receptive_field(windows: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return (size, step): how many inputs one output of a stack depends on, and how far apart neighbours look.

    Each window of m sees m outputs of the layer below, which lie `step` inputs apart; each stride
    multiplies the step (Araujo, Norris and Sim, Distill 2019, equations 1 and 2).

    Args:
        windows: (m, s) of each convolution or pooling along one axis, the first layer first.
    """
    size, step = 1, 1
    for m, stride in windows:
        size += (m - 1) * step
        step *= stride
    return size, step
