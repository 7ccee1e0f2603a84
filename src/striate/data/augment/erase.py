"""Random erasing (Zhong et al. 2017): a rectangle of some pictures is filled with the mean colour."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from striate.core.random import Stream, uniform
from striate.core.settings import AugmentSettings

AREA = (0.02, 0.33)
RATIO = (0.3, 1 / 0.3)


def draw_boxes(
    settings: AugmentSettings, size: tuple[int, int], seed: int, epoch: int, indices: Tensor
) -> Tensor | None:
    """Return each sample's box, int64 N 4 (left, top, width, height), 0 × 0 where nothing is erased.

    The area is uniform on 2 % … 33 % of the picture, the ratio log-uniform on 0.3 … 3.3.
    """
    if not settings.erase:
        return None
    height, width = size
    streams = [Stream.ERASE, Stream.ERASE_AREA, Stream.ERASE_RATIO, Stream.ERASE_X, Stream.ERASE_Y]
    chance, area, ratio, x, y = uniform(seed, epoch, indices, streams).unbind(1)
    area = (AREA[0] + (AREA[1] - AREA[0]) * area) * height * width
    ratio = torch.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * ratio)
    box_width = (area * ratio).sqrt().round().clamp(1, width)
    box_height = (area / ratio).sqrt().round().clamp(1, height)
    left, top = (x * (width - box_width + 1)).floor(), (y * (height - box_height + 1)).floor()
    boxes = torch.stack([left, top, box_width, box_height], 1)
    return (boxes * (chance < settings.erase)[:, None]).long()


def inside_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a bool mask N 1 H W that is true inside each sample's box (left, top, width, height)."""
    left, top, width, height = boxes[:, :, None].unbind(1)  # N 1 each
    rows = torch.arange(size[0], device=boxes.device)
    columns = torch.arange(size[1], device=boxes.device)
    in_rows = (rows >= top) & (rows < top + height)  # N H
    in_columns = (columns >= left) & (columns < left + width)  # N W
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def apply_erase(images: Tensor, boxes: Tensor, fill: Tensor) -> Tensor:
    """Return the pictures with their boxes filled, of the images' own type.

    Args:
        images: N C H W, 0 … 255.
        boxes: int64, N 4.
        fill: C values, 0 … 255.
    """
    mask = inside_boxes(boxes, (images.shape[2], images.shape[3]))
    return torch.where(mask, fill.to(images.dtype)[None, :, None, None], images)
