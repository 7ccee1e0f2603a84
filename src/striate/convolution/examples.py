"""Small pictures with something to see, each with the windows that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from striate.convolution.kernels import KERNELS
from striate.convolution.padding import Array, Padding, PerAxis, numbers
from striate.convolution.slide import PoolKind, Slide, slide_kernel, slide_pool
from striate.core.errors import SettingsError
from striate.core.registry import Registry


@dataclass(frozen=True, eq=False)
class Example:
    """Pictures, and either kernels or a pooling window to slide over each of them.

    Args:
        summary: What there is to see, in one line.
        pictures: n1 n2 each, by title.
        kernels: m1 m2 each, by name; not used if there is `pool`.
        padding: Of the kernels.
        stride: None for 1 with kernels, for the window's size with pooling.
        flip: Convolution, not cross-correlation.
        pool: 'max' or 'average', or None for kernels.
        size: The pooling window.
    """

    summary: str
    pictures: Mapping[str, Array]
    kernels: Mapping[str, Array] = field(default_factory=dict)
    padding: Padding = "valid"
    stride: PerAxis | None = None
    flip: bool = False
    pool: PoolKind | None = None
    size: PerAxis = 2

    def slides(self) -> list[Slide]:
        """Return one slide for each picture and kernel.

        Raises:
            SettingsError: A window does not fit into a picture.
        """
        if self.pool is not None:
            return [
                replace(slide_pool(picture, self.pool, self.size, self.stride), picture_name=title)
                for title, picture in self.pictures.items()
            ]
        step = 1 if self.stride is None else self.stride
        return [
            replace(slide_kernel(picture, kernel, self.padding, step, self.flip), picture_name=title, kernel_name=name)
            for title, picture in self.pictures.items()
            for name, kernel in self.kernels.items()
        ]


def shift(picture: Array, down: int, right: int) -> Array:
    """Return the picture moved, with zeros where nothing comes in; n1 n2 stay.

    Raises:
        SettingsError: A negative move.
    """
    if down < 0 or right < 0:
        raise SettingsError("moves go down and right: 0 or more", where=f"({down}, {right})")
    rows, columns = picture.shape
    return np.pad(picture, ((down, 0), (right, 0)))[:rows, :columns]


def _picture(text: str) -> Array:
    """Return a picture drawn with digits, a row per word."""
    return numbers([[int(digit) for digit in row] for row in text.split()])


EXAMPLES: Registry[Example] = Registry("example")

EXAMPLES.register("signal")(
    Example(
        summary="1-D convolution of 8 numbers with 5, two zeros on each side: as long as before",
        pictures={"signal": _picture("13245613")},
        kernels={"filter": _picture("10312")},
        padding="same",
        flip=True,
    )
)
EXAMPLES.register("document")(
    Example(
        summary="2-D convolution of a 4×4 picture with a 3×3 kernel, one zero all round",
        pictures={"picture": _picture("1324 5613 1202 3432")},
        kernels={"kernel": _picture("103 121 011")},
        padding="same",
        flip=True,
    )
)
EXAMPLES.register("diagonal")(
    Example(
        summary="a diagonal detector on a 5×5 picture: 3×3 places, large where the diagonal runs",
        pictures={"picture": np.eye(5)},
        kernels={"diagonal": KERNELS["diagonal"]},
    )
)
EXAMPLES.register("lines")(
    Example(
        summary="each detector finds the lines of its own direction and ignores the others",
        pictures={"picture": _picture("0010000 0010000 0010000 1111111 0010000 0010000 0010000")},
        kernels={name: KERNELS[name] for name in ("vertical", "horizontal")},
    )
)
EXAMPLES.register("pooling")(
    Example(
        summary="the largest of each 2×2 window: a quarter of the numbers; try --size 3 --stride 2 for overlap",
        pictures={"map": _picture("130214 502131 124603 021357 910242 368105")},
        pool="max",
    )
)
_BLOTS = _picture("000000 600000 003000 000000 905000 000000")
EXAMPLES.register("invariance")(
    Example(
        summary="max pooling forgets a move inside its windows: 1 right changes nothing, 2 right move the result by 1",
        pictures={"picture": _BLOTS, "moved 1 right": shift(_BLOTS, 0, 1), "moved 2 right": shift(_BLOTS, 0, 2)},
        pool="max",
    )
)
