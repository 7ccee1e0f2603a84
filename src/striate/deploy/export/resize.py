"""`data/decode.fit` as operations of a graph: Pillow's resizing of pictures of any size, bit for bit.

Pillow resizes along the rows, rounds to whole levels, and then along the columns; or the other way round where the
height loses more than twice as many pixels as the width (from Pillow 13 on). Each pass is a product with a matrix of
weights, which Pillow takes in fixed point with 22 bits after the point (its src/libImaging/Resample.c). Here these
whole numbers are multiplied and summed in float64, which holds every sum exactly, so that their order plays no part.
The weights themselves are computed as Pillow does, in float64 from the corners of a box in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from striate.core.spec import ImageSpec, Interpolation

BITS = 32 - 8 - 2  # after the point


class Filter(NamedTuple):
    """An interpolation: the weight of a pixel by its distance from the place, and the distance from which it is 0."""

    weight: Callable[[Tensor], Tensor]
    support: float


class Line(NamedTuple):
    """How one side of the output lies over the same side of the picture; float64 tensors of one value or one per pixel.

    Args:
        first, last: The box within the picture, whose ends are float32 values.
        pixels: How many the box becomes.
        place: The number of each output pixel among those, below 0 or from `pixels` on where there is background.
    """

    first: Tensor
    last: Tensor
    pixels: Tensor
    place: Tensor


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).double()


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _bicubic(x: Tensor) -> Tensor:
    a, x = -0.5, x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), torch.zeros_like(x))


def _sinc(x: Tensor) -> Tensor:
    angle = torch.where(x == 0, torch.ones_like(x), x * math.pi)
    return torch.where(x == 0, torch.ones_like(x), angle.sin() / angle)


FILTERS: dict[Interpolation, Filter] = {
    "box": Filter(_box, 0.5),
    "bilinear": Filter(_bilinear, 1.0),
    "bicubic": Filter(_bicubic, 2.0),
    "lanczos": Filter(_lanczos, 3.0),
}


class Resize(nn.Module):
    """Pictures of any one size to the size that a network wants, as `data/decode.fit` brings them to it.

    Args:
        spec: Size, resize, interpolation and background.
    """

    background: Tensor

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec
        colour = spec.background
        if spec.channels == 1:
            colour = (Image.new("RGB", (1, 1), spec.background).convert("L").getpixel((0, 0)),)  # type: ignore[assignment]
        self.register_buffer("background", torch.tensor(colour, dtype=torch.float64))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return uint8 N height width C of uint8 N H W C."""
        rows, columns = _size(pixels[0, :, 0, 0]), _size(pixels[0, 0, :, 0])
        down, along = self.lines(rows, columns)
        values = pixels.permute(0, 3, 1, 2).double()  # N C H W
        if self.spec.interpolation == "nearest":
            values = self._nearest(self._nearest(values, along, columns).mT, down, rows).mT
        else:
            by_row = self._weights(along, columns, pixels.shape[2])
            by_column = self._weights(down, rows, pixels.shape[1])
            lost_rows, lost_columns = rows - down.pixels, columns - along.pixels
            columns_first = (lost_rows > 0) & (lost_rows > 2 * lost_columns)
            values = _one_of(columns_first[0], _columns_first, _rows_first, (values, by_row, by_column))
        values = values.permute(0, 2, 3, 1)  # N height width C
        if self.spec.resize == "pad":
            inside = _inside(down)[:, None] & _inside(along)[None]  # height width
            values = torch.where(inside[:, :, None], values, self.background)
        return values.to(torch.uint8)

    def lines(self, rows: Tensor, columns: Tensor) -> tuple[Line, Line]:
        """Return how height and width of the output lie over a picture of so many rows and columns (float64, 1)."""
        height, width = self.spec.height, self.spec.width
        zero = torch.zeros_like(rows)
        places = [torch.arange(size, dtype=torch.float64) for size in (height, width)]
        if self.spec.resize == "pad":
            # as tensors: a number over a tensor is the number times the reciprocal, rounded twice
            scale = torch.minimum((zero + height) / rows, (zero + width) / columns)
            counts = [(size * scale).round().clamp_min(1) for size in (rows, columns)]
            before = [((size - count) / 2).floor() for size, count in zip((height, width), counts, strict=True)]
            return (
                Line(zero, rows, counts[0], places[0] - before[0]),
                Line(zero, columns, counts[1], places[1] - before[1]),
            )
        down = Line(zero, rows, zero + height, places[0])
        along = Line(zero, columns, zero + width, places[1])
        if self.spec.resize == "squash":
            return down, along
        scale = torch.minimum(rows / height, columns / width)
        boxes = []
        for line, size, wanted in ((down, rows, height), (along, columns, width)):
            first = (size - wanted * scale) / 2
            last = torch.minimum(first + wanted * scale, size)
            boxes.append(line._replace(first=_rounded(first.clamp_min(0)), last=_rounded(last)))
        return boxes[0], boxes[1]

    def _nearest(self, values: Tensor, line: Line, size: Tensor) -> Tensor:
        """Return the picture with its last side resized to the nearest pixels."""
        scale = _rounded(line.last - line.first) / line.pixels
        # Pillow adds the scale up from pixel to pixel
        steps = torch.where(line.place >= 0, scale, torch.zeros_like(scale))
        steps = torch.where(line.place == 0, line.first + scale * 0.5, steps)
        return values.index_select(3, torch.minimum(steps.cumsum(0).floor(), size - 1).long())

    def _weights(self, line: Line, size: Tensor, pixels: int) -> Tensor:
        return weights(FILTERS[self.spec.interpolation], line, size, pixels)


def _one_of(
    condition: Tensor, yes: Callable[..., Tensor], no: Callable[..., Tensor], operands: tuple[Tensor, ...]
) -> Tensor:
    """Return what one of two functions makes of the operands; a trace, which knows no branches, computes both."""
    if torch.compiler.is_exporting():
        chosen: Tensor = torch.cond(condition, yes, no, operands)
        return chosen
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return torch.where(condition, yes(*operands), no(*operands))
    return yes(*operands) if bool(condition) else no(*operands)


def _rows_first(values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    return _product(_product(values, by_row).mT, by_column).mT.contiguous()


def _columns_first(values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    return _product(_product(values.mT, by_column).mT, by_row).contiguous()


def _product(values: Tensor, weights: Tensor) -> Tensor:
    """Return the picture (N C … size, whole levels) with its last side resized, rounded to whole levels."""
    return ((values @ weights.T + 2.0 ** (BITS - 1)) / 2.0**BITS).floor().clamp(0, 255)


def weights(filter_: Filter, line: Line, size: Tensor, pixels: int) -> Tensor:
    """Return Pillow's weights of each pixel of a line for each of the output, whole numbers as float64, out size.

    Args:
        filter_: The interpolation.
        line: Where the output lies.
        size: Pixels of the picture's line.
        pixels: The same, as a number.
    """
    scale = _rounded(line.last - line.first) / line.pixels  # pixels of the picture per pixel of the output
    stretched = scale.clamp_min(1)
    support = filter_.support * stretched
    centre = (line.first + (line.place + 0.5) * scale)[:, None]  # out 1
    first = (centre - support + 0.5).trunc().clamp_min(0)
    last = torch.minimum((centre + support + 0.5).trunc(), size)
    position = torch.arange(pixels, dtype=torch.float64)[None]  # 1 size
    weight = filter_.weight((position - centre + 0.5) * (1 / stretched))
    weight = torch.where((position >= first) & (position < last), weight, torch.zeros_like(weight))
    total = weight.sum(1, keepdim=True)
    weight = weight / torch.where(total == 0, torch.ones_like(total), total) * 2.0**BITS
    return torch.where(weight < 0, weight - 0.5, weight + 0.5).trunc()


def _size(line: Tensor) -> Tensor:
    """Return the length of a line as float64 of one value, which stays a value of the graph."""
    return torch.ones_like(line, dtype=torch.float64).sum(0, keepdim=True)


def _rounded(value: Tensor) -> Tensor:
    """Return a value as Pillow is given it, in float32."""
    return value.float().double()


def _inside(line: Line) -> Tensor:
    return (line.place >= 0) & (line.place < line.pixels)
