"""One window sliding over one picture, step by step: what a figure shows and a learner follows by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from striate.convolution.convolve import cross_correlate
from striate.convolution.padding import Array, Padding, PerAxis, numbers, pad, pad_widths, per_axis
from striate.convolution.pooling import average_pool, max_pool
from striate.core.errors import SettingsError

Operation = Literal["cross-correlation", "convolution", "max pooling", "average pooling"]
PoolKind = Literal["max", "average"]


@dataclass(frozen=True, eq=False)
class Step:
    """One place of the window.

    Args:
        place: (i, j) in the output.
        corner: The window's first (row, column) in the padded picture.
        window: What the window sees, m1 m2.
        products: Window times weights, m1 m2; for pooling the window itself.
        value: Their sum; for pooling their maximum or mean.
    """

    place: tuple[int, int]
    corner: tuple[int, int]
    window: Array
    products: Array
    value: float


@dataclass(frozen=True, eq=False)
class Slide:
    """A picture, a window and the whole output.

    Args:
        operation: What is done with each window.
        picture: n1 n2, without border.
        widths: Cells of border (before, after) along both axes.
        size: The window, m1 m2.
        stride: Steps along both axes.
        kernel: The kernel as given, m1 m2; None for pooling.
        output: o1 o2.
        picture_name: For titles.
        kernel_name: For titles.
    """

    operation: Operation
    picture: Array
    widths: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    stride: tuple[int, int]
    kernel: Array | None
    output: Array
    picture_name: str = "picture"
    kernel_name: str = "kernel"

    @property
    def title(self) -> str:
        """The picture's name, and the kernel's if there is one."""
        return self.picture_name if self.kernel is None else f"{self.picture_name}, {self.kernel_name}"

    @cached_property
    def padded(self) -> Array:
        """The picture with its border of zeros."""
        return pad(self.picture, self.widths)

    @property
    def weights(self) -> Array | None:
        """What each window is multiplied with: the kernel, flipped if this is convolution."""
        if self.kernel is None or self.operation != "convolution":
            return self.kernel
        return np.flip(self.kernel)

    def step(self, i: int, j: int) -> Step:
        """Return what happens at place (i, j) of the output, worked out anew from the window alone."""
        top, left = i * self.stride[0], j * self.stride[1]
        window = self.padded[top : top + self.size[0], left : left + self.size[1]]
        products = window if self.weights is None else window * self.weights
        if self.operation == "max pooling":
            value = products.max()
        elif self.operation == "average pooling":
            value = products.mean()
        else:
            value = products.sum()
        return Step((i, j), (top, left), window, products, float(value))

    def steps(self) -> Iterator[Step]:
        """Yield every step, row by row."""
        for i, j in np.ndindex(*self.output.shape):
            yield self.step(i, j)


def slide_kernel(
    picture: ArrayLike, kernel: ArrayLike, padding: Padding = "valid", stride: PerAxis = 1, flip: bool = False
) -> Slide:
    """Return the slide of a kernel: cross-correlation, or convolution with `flip`.

    Raises:
        SettingsError: Picture or kernel is not a matrix, or the kernel does not fit.
    """
    picture, kernel = _matrix(picture, "picture"), _matrix(kernel, "kernel")
    output = cross_correlate(picture, np.flip(kernel) if flip else kernel, padding, stride)
    rows, columns = kernel.shape
    down, right = per_axis(stride, 2, "stride")
    operation: Operation = "convolution" if flip else "cross-correlation"
    widths = pad_widths(kernel.shape, padding)
    return Slide(operation, picture, widths, (rows, columns), (down, right), kernel, output)


def slide_pool(picture: ArrayLike, kind: PoolKind = "max", size: PerAxis = 2, stride: PerAxis | None = None) -> Slide:
    """Return the slide of a pooling window, without border.

    Raises:
        SettingsError: The picture is not a matrix, or the window does not fit.
    """
    picture = _matrix(picture, "picture")
    pool = max_pool if kind == "max" else average_pool
    rows, columns = per_axis(size, 2, "size")
    down, right = per_axis(size if stride is None else stride, 2, "stride")
    operation: Operation = "max pooling" if kind == "max" else "average pooling"
    output = pool(picture, size, stride)
    return Slide(operation, picture, ((0, 0), (0, 0)), (rows, columns), (down, right), None, output)


def _matrix(values: ArrayLike, name: str) -> Array:
    array = numbers(values, name)
    if array.ndim != 2:
        raise SettingsError("expected rows and columns", where=f"{name} of shape {array.shape}")
    return array
