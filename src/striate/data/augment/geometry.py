"""Flip, rotation, zoom, shift and crop of each sample, composed to one affine map and resampled once.

A matrix maps a point of the output to the point of the input it is read from, both in pixels from the
picture's centre, x to the right and y down. Window and crop come first, then flip, then rotation and zoom
about the centre, then shift. Windows, whole-pixel shifts and flips alone are an exact gather without
interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.device import constant
from striate.core.random import Stream, uniform
from striate.core.settings import AugmentSettings

Edges = Literal["reflect", "zero"]
CROP_RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Geometry:
    """One batch's geometric parameters, one entry per sample.

    Args:
        mirror: bool, N; left to right.
        flip: bool, N; top to bottom.
        shift: int64, N 2; pixels to the right and down.
        angle: degrees counter-clockwise, N, or None where no sample is rotated, zoomed or cropped.
        zoom: factor, N; above 1 enlarges.
        crop: N 4; left, top, width and height in pixels of the box that fills the output.
        window: int64, N 2; left and top of the part, of the output's own size, that is seen where `crop` is None.
    """

    mirror: Tensor
    flip: Tensor
    shift: Tensor
    angle: Tensor | None = None
    zoom: Tensor | None = None
    crop: Tensor | None = None
    window: Tensor | None = None

    @property
    def is_exact(self) -> bool:
        """Whether only whole pixels move, so that nothing has to be interpolated."""
        return self.angle is None and self.zoom is None and self.crop is None


def draw_geometry(
    settings: AugmentSettings,
    size: tuple[int, int],
    seed: int,
    epoch: int,
    indices: Tensor,
    seen: tuple[int, int] | None = None,
) -> Geometry | None:
    """Return each sample's parameters, a pure function of the arguments; None where nothing may move.

    Args:
        size: (height, width) of the pictures.
        indices: int64, N; the samples' numbers in the training part.
        seen: (height, width) of the part, placed at random, in which all else happens; None: the whole picture.
    """

    def chance(stream: Stream) -> Tensor:
        return uniform(seed, epoch, indices, stream)

    if seen is None and not (settings.flip or settings.flip_vertical or settings.shift or _interpolates(settings)):
        return None
    none = torch.zeros(len(indices), dtype=torch.bool, device=indices.device)
    mirror = _draw_mirror(bool(settings.alternate_flip), seed, epoch, indices) if settings.flip else none
    flip = chance(Stream.FLIP_VERTICAL) < 0.5 if settings.flip_vertical else none
    shift = torch.zeros(len(indices), 2, dtype=torch.int64, device=indices.device)
    if settings.shift:
        places = uniform(seed, epoch, indices, [Stream.SHIFT_X, Stream.SHIFT_Y]) * (2 * settings.shift + 1)
        shift = places.floor().long() - settings.shift
    angle = (2 * chance(Stream.ROTATE) - 1) * settings.rotate if settings.rotate else None
    zoom = 1 + (2 * chance(Stream.ZOOM) - 1) * settings.zoom if settings.zoom else None
    window = None if seen is None else _draw_window(size, seen, seed, epoch, indices)
    crop = None
    if settings.crop_scale < 1:
        crop = _draw_crop(settings.crop_scale, seen or size, seed, epoch, indices)
        if window is not None:
            crop[:, :2] += window
            window = None
    return Geometry(mirror, flip, shift, angle, zoom, crop, window)


def _interpolates(settings: AugmentSettings) -> bool:
    return bool(settings.rotate or settings.zoom or settings.crop_scale < 1)


def _draw_mirror(alternate: bool, seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Return which samples are mirrored, bool, N.

    Alternating, what the first epoch drew is turned round in every other epoch, so that two epochs show both sides
    of every picture instead of one of them twice (Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv 2404.00498, 3.6).
    """
    if alternate:
        return (uniform(seed, 0, indices, Stream.FLIP_HORIZONTAL) < 0.5) ^ bool(epoch % 2)
    return uniform(seed, epoch, indices, Stream.FLIP_HORIZONTAL) < 0.5


def _draw_window(size: tuple[int, int], seen: tuple[int, int], seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Return left and top, int64 N 2, uniform over all places where the window lies inside the picture."""
    places = constant([size[1] - seen[1] + 1, size[0] - seen[0] + 1], indices.device)
    return (uniform(seed, epoch, indices, [Stream.WINDOW_X, Stream.WINDOW_Y]) * places).floor().long()


def _draw_crop(smallest: float, size: tuple[int, int], seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Return boxes of area share uniform on [smallest, 1], log-uniform ratio, uniform place (Szegedy 2014).

    A box that would not fit is made as wide or high as the picture, so its area can be a little smaller.
    """
    height, width = size
    streams = [Stream.CROP_AREA, Stream.CROP_RATIO, Stream.CROP_X, Stream.CROP_Y]
    area, ratio, x, y = uniform(seed, epoch, indices, streams).unbind(1)
    area = (smallest + (1 - smallest) * area) * height * width
    low, high = (math.log(bound) for bound in CROP_RATIO)
    ratio = torch.exp(low + (high - low) * ratio)
    box_width = (area * ratio).sqrt().round().clamp(1, width)
    box_height = (area / ratio).sqrt().round().clamp(1, height)
    left = (x * (width - box_width + 1)).floor()
    top = (y * (height - box_height + 1)).floor()
    return torch.stack([left, top, box_width, box_height], 1)


def apply_geometry(
    images: Tensor, geometry: Geometry, edges: Edges = "reflect", size: tuple[int, int] | None = None
) -> Tensor:
    """Return the moved pictures: uint8 stays uint8 where only whole pixels move, else float32 0 … 255.

    Args:
        images: N C H W, uint8 or floating.
        edges: 'reflect' mirrors the picture at its edge (edge pixel repeated); 'zero' fills with 0.
        size: (height, width) of the output; the input's by default.
    """
    whole = (images.shape[2], images.shape[3])
    size = size or whole
    if geometry.is_exact and (size == whole or geometry.window is not None):
        return _gather(images, geometry, edges, size)
    return resample(images, affine_matrix(geometry, whole, size), edges, size)


def _gather(images: Tensor, geometry: Geometry, edges: Edges, size: tuple[int, int]) -> Tensor:
    count, channels, height, width = images.shape
    left, top = (0, 0) if geometry.window is None else geometry.window.unbind(1)
    down = _first_place(size[0], top, geometry.shift[:, 1], geometry.flip)
    rows = _folded_places(height, size[0], down)[:, None]  # N 1 h
    rows = rows + torch.arange(0, count * channels * height, height, device=images.device).view(count, channels, 1)
    across = _first_place(size[1], left, geometry.shift[:, 0], geometry.mirror)
    columns = _folded_places(width, size[1], across)[:, None, None]  # N 1 1 w
    # rows are copied whole; only within them each pixel is looked up
    moved = images.reshape(-1, width).index_select(0, rows.view(-1)).view(count, channels, size[0], width)
    moved = moved.gather(3, columns.expand(-1, channels, size[0], -1))  # N C h w
    if edges == "zero":
        inside_rows = _is_inside(height, size[0], down, geometry.flip)
        inside_columns = _is_inside(width, size[1], across, geometry.mirror)
        moved *= (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
    return moved


def _first_place(seen: int, start: Tensor | int, shift: Tensor, flipped: Tensor) -> Tensor:
    """Return from which place on each sample reads `seen` places along one axis, int64 N.

    The axis goes on beyond both its ends as in a mirror, so that read backwards from place p it is the same as
    read forwards from −1 − p.
    """
    return torch.where(flipped, -(seen + shift + start), start - shift)


def _folded_places(side: int, seen: int, begin: Tensor) -> Tensor:
    """Return the places of the picture, int64 N seen, behind those that are read from `begin` on."""
    period = 2 * side
    line = torch.arange(period + seen, device=begin.device) % period
    line = torch.minimum(line, period - 1 - line)
    return line.unfold(0, seen, 1).index_select(0, begin % period)


def _is_inside(side: int, seen: int, begin: Tensor, flipped: Tensor) -> Tensor:
    """Return whether what is read from `begin` on is of the picture itself, bool N seen."""
    place = begin + side * flipped  # read backwards, the picture itself lies at −side … −1
    place = place[:, None] + torch.arange(seen, device=begin.device)
    return (place >= 0) & (place < side)


def affine_matrix(geometry: Geometry, size: tuple[int, int], output: tuple[int, int]) -> Tensor:
    """Return the maps from output to input points as float32 N 2 3, in pixels from the centres.

    With R the rotation by the angle, z the zoom, F the flips, S and c the scale and centre of the crop (or
    window: S = 1) and t the shift: p_in = S F R⁻¹ (p_out − t) / z + c.
    """
    count, device = len(geometry.mirror), geometry.mirror.device
    height, width = size
    ones = torch.ones(count, device=device)
    angle = torch.deg2rad(geometry.angle) if geometry.angle is not None else 0 * ones
    scale = 1 / geometry.zoom if geometry.zoom is not None else ones
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    linear = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)  # N 2 2
    signs = torch.stack([1 - 2 * geometry.mirror.float(), 1 - 2 * geometry.flip.float()], 1)  # N 2
    if geometry.crop is not None:
        left, top, box_width, box_height = geometry.crop.unbind(1)
        stretch = torch.stack([box_width / output[1], box_height / output[0]], 1)
        centre = torch.stack([left + (box_width - width) / 2, top + (box_height - height) / 2], 1)
    else:
        stretch, centre = torch.ones(count, 2, device=device), torch.zeros(count, 2, device=device)
        if geometry.window is not None:
            margin = constant([width - output[1], height - output[0]], device)
            centre = geometry.window - margin / 2
    linear = (stretch * signs)[:, :, None] * linear
    offset = centre - (linear @ geometry.shift.to(linear.dtype)[:, :, None])[:, :, 0]
    return torch.cat([linear, offset[:, :, None]], 2)


def resample(images: Tensor, matrix: Tensor, edges: Edges, size: tuple[int, int]) -> Tensor:
    """Return the pictures read through affine maps with bilinear interpolation, float32 N C height width.

    Args:
        images: N C H W, uint8 or floating.
        matrix: N 2 3, from output to input points in pixels from the centres.
    """
    count, channels, height, width = images.shape
    from_side = constant([float(width), float(height)], images.device)
    to_side = constant([float(size[1]), float(size[0])], images.device)
    # grid_sample wants both ends in [−1, 1]
    linear = matrix[:, :, :2] * to_side[None, None, :] / from_side[None, :, None]
    offset = matrix[:, :, 2:] * 2 / from_side[None, :, None]
    grid = F.affine_grid(torch.cat([linear, offset], 2), [count, channels, *size], align_corners=False)
    padding = "reflection" if edges == "reflect" else "zeros"
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode=padding, align_corners=False)
