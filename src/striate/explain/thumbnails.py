"""Thumbnails: small pictures enlarged by whole pixels, large ones reduced by means over areas."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]


def thumbnails(images: Tensor, side: int) -> Pixels:
    """Return pictures whose longer side fits into `side` pixels, uint8 N h w 3; grey ones have equal channels.

    Args:
        images: N C H W on 0 … 255, of 1 or 3 channels.
        side: Pixels; pictures are enlarged as many whole times as there is room, or reduced to it.
    """
    _, channels, height, width = images.shape
    longer = max(height, width)
    if longer <= side:
        times = side // longer
        sized = images.float().repeat_interleave(times, 2).repeat_interleave(times, 3)
    else:
        size = [max(1, round(length * side / longer)) for length in (height, width)]
        sized = F.interpolate(images.float(), size, mode="area")
    pixels = sized.round().clamp(0, 255).byte().cpu().permute(0, 2, 3, 1)  # N h w C
    array: Pixels = pixels.expand(-1, -1, -1, 3).numpy() if channels == 1 else pixels.numpy()
    return array


def paste(canvas: Pixels, picture: Pixels, top: int, left: int) -> None:
    """Put a picture, h w 3, at a place of a canvas, H W 3; what would lie outside is left out."""
    height, width = canvas.shape[:2]
    part = picture[: max(0, height - top), : max(0, width - left)]
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
