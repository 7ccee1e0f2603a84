"""The losses of Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks" (CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """What a picture lacks, unweighted.

    Args:
        content: `content_loss`.
        style: `style_loss`.
        variation: `total_variation`.
    """

    content: float
    style: float
    variation: float


def content_loss(maps: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (F − P)² over feature maps N k h w.

    The paper's equation 1, ½ Σ (F − P)², divided by k·m/2, so that its weight is the same for pictures of any size.
    """
    return (maps - target).square().mean()


def gram(maps: Tensor) -> Tensor:
    """Return how often two maps are active together, k × k: Σ F_ip F_jp / m over the m = h·w positions p.

    The paper's equation 3, divided by m, so that pictures of different size can be compared.

    Args:
        maps: 1 k h w.
    """
    flat = maps.flatten(2)[0]  # k m
    return flat @ flat.T / flat.shape[1]


def style_loss(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Return the mean over layers of Σ (A − G)² / 4k².

    With `gram`, the paper's equations 4 and 5: Σ (A − G)² / 4k²m² of its sums over positions, with weight 1/L for each
    of L layers.

    Args:
        grams, targets: One k × k matrix per layer.
    """
    layers = [
        (own - target).square().sum() / (4 * len(target) ** 2) for own, target in zip(grams, targets, strict=True)
    ]
    return torch.stack(layers).mean()


def total_variation(picture: Tensor) -> Tensor:
    """Return the mean squared difference of vertical neighbours plus that of horizontal ones.

    Args:
        picture: N C H W; along a side of one pixel there are no neighbours, which count as equal.
    """
    down, across = picture.diff(dim=2), picture.diff(dim=3)
    means = [difference.square().mean() for difference in (down, across) if difference.numel()]
    return torch.stack(means).sum() if means else picture.sum() * 0


def outside(picture: Tensor) -> Tensor:
    """Return the mean squared distance of the values to 0 … 1, where a picture's values have to lie."""
    return (picture - picture.clamp(0, 1)).square().mean()
