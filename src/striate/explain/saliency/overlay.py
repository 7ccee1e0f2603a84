"""A map laid over its picture: the picture in grey by its own light, the map by colour."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

COLOURS = "viridis"  # perceptually uniform, and read by colour-blind people as by others
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FINE = 56  # points along the side of a shown map; single pixels of a photograph could not be made out
BRIGHTEST = 0.99  # quantile that is shown in full colour, so that one pixel does not pale the others


def overlay(picture: Tensor, values: Tensor) -> NDArray[np.float64]:
    """Return a picture under its map, RGB on [0, 1], H W 3.

    The colour is the map's, from dark blue for nothing (or what speaks against the class) to yellow for most; its
    strength grows with the value, and its light is mixed with that of the picture.

    Args:
        picture: C H W on 0 … 255.
        values: The map, H W.
    """
    strength = strengths(values)
    colour = colormaps[COLOURS](strength.numpy())[:, :, :3]  # H W 3
    weights = torch.tensor(LUMA) if len(picture) == 3 else torch.ones(1)
    light = (picture.float().cpu() / 255 * weights[:, None, None]).sum(0).numpy()[:, :, None]
    share = (0.45 + 0.35 * strength).numpy()[:, :, None]
    mixed: NDArray[np.float64] = share * colour + (1 - share) * light
    return mixed.clip(0, 1)


def strengths(values: Tensor) -> Tensor:
    """Return how strong a map (H W) is shown, on [0, 1]: what speaks for the class over its largest values."""
    positive = values.detach().cpu().float().clamp_min(0)[None, None]
    coarser = max(values.shape) // FINE
    if coarser > 1:
        points = F.avg_pool2d(positive, coarser, ceil_mode=True, count_include_pad=False)
        positive = F.interpolate(points, tuple(values.shape), mode="bilinear", align_corners=False)
    positive = positive[0, 0]
    highest = float(positive.flatten().kthvalue(max(1, round(BRIGHTEST * positive.numel()))).values)
    return (positive / (highest or float(positive.max()) or 1.0)).clamp(0, 1)
