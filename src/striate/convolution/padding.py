"""The border of zeros around an input: how many go before and after it, along each axis.

valid   no zeros: the window stays inside, the output shrinks by m - 1
same    m - 1 zeros in all: with stride 1 the output is as long as the input
full    m - 1 zeros on each side: every overlap of window and input counts, the output grows by m - 1
p       p zeros on each side
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.core.errors import SettingsError

Array = NDArray[np.float64]
Mode = Literal["full", "same", "valid"]
Padding = Mode | int | Sequence[Mode | int]
PerAxis = int | Sequence[int]


def numbers(values: ArrayLike, name: str = "input") -> Array:
    """Return the values as float64, so that whole numbers up to 2⁵³ stay exact and uint8 cannot wrap around.

    Raises:
        SettingsError: They are not real numbers in a full rectangle, or there are none.
    """
    try:
        given = np.asarray(values)
        array: Array = given.astype(np.float64, casting="same_kind" if given.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        raise SettingsError("expected real numbers in rows of equal length", where=name) from None
    if array.size == 0:
        raise SettingsError(f"nothing in it (shape {array.shape})", where=name)
    return array


def per_axis(value: PerAxis, axes: int, name: str) -> tuple[int, ...]:
    """Return one positive whole number per axis; a single one stands for all axes.

    Raises:
        SettingsError: The count is wrong, or a number is below 1.
    """
    given = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(given) != axes or any(one < 1 for one in given):
        raise SettingsError(
            f"expected {axes} whole numbers from 1 up, or one for all axes",
            where=f"{name} {value}",
            fix="like 1, or 2,1",
        )
    return given


def pad_widths(window: Sequence[int], padding: Padding) -> tuple[tuple[int, int], ...]:
    """Return the zeros (before, after) the input along each axis.

    An even window cannot be centred: 'same' then puts the odd zero before the input, as numpy.convolve
    scipy.signal.convolve and scipy.signal.correlate do. (torch and scipy.signal.correlate2d put it after.)

    Args:
        window: Its length m along each axis.
        padding: A mode or a number p for all axes, or one per axis.

    Raises:
        SettingsError: An unknown mode, a negative number, or the wrong count of them.
    """
    given = (padding,) * len(window) if isinstance(padding, str | int) else tuple(padding)
    if len(given) != len(window):
        raise SettingsError(
            f"expected {len(window)} paddings, one per axis", where=f"padding {padding}", fix="like same, or 1,2"
        )
    return tuple(_axis_widths(m, p) for m, p in zip(window, given, strict=True))


def _axis_widths(m: int, padding: Mode | int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return m // 2, (m - 1) // 2
    if padding == "full":
        return m - 1, m - 1
    if isinstance(padding, int) and padding >= 0:
        return padding, padding
    raise SettingsError(
        f"expected {', '.join(get_args(Mode))} or a number from 0 up", where=f"padding {padding}", fix="like same, or 1"
    )


def pad(x: Array, widths: Sequence[tuple[int, int]], fill: float = 0.0) -> Array:
    """Return the input with a border along its last axes; the axes before them (channels) get none.

    Args:
        x: … n1 … nd.
        widths: (before, after) for each of the last d axes.
        fill: What stands in the border.
    """
    untouched = [(0, 0)] * (x.ndim - len(widths))
    return np.pad(x, [*untouched, *widths], constant_values=fill)
