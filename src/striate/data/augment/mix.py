"""Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019): each sample is blended with its neighbour in the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.random import Stream, uniform
from striate.core.settings import AugmentSettings
from striate.data.augment.erase import inside_boxes


@dataclass(frozen=True)
class Mix:
    """One batch's mixing parameters.

    Args:
        share: float32, N; the part of each sample that stays its own, in label and (mixup) in pixels.
        boxes: int64, N 4; left, top, width and height of what CutMix replaces; 0 × 0 is mixup.
    """

    share: Tensor
    boxes: Tensor


def draw_mix(settings: AugmentSettings, size: tuple[int, int], seed: int, epoch: int, indices: Tensor) -> Mix | None:
    """Return each sample's parameters, a pure function of the arguments; None where nothing is mixed.

    The share is Beta(α, α), drawn through the inverse of its distribution function. Where mixup and
    CutMix are both on, each sample takes one or the other with equal chance.
    """
    if not settings.mixup and not settings.cutmix:
        return None
    height, width = size
    streams = [Stream.MIX_CHOICE, Stream.MIX_SHARE, Stream.MIX_X, Stream.MIX_Y]
    choice, chance, x, y = uniform(seed, epoch, indices, streams).unbind(1)
    cut = choice < (0.5 if settings.mixup and settings.cutmix else float(settings.cutmix > 0))
    alpha = torch.where(cut, settings.cutmix or 1.0, settings.mixup or 1.0)
    from scipy.special import betaincinv  # a third of a second that only mixing has to spend

    alphas = alpha.double().cpu().numpy()
    share = torch.from_numpy(betaincinv(alphas, alphas, chance.double().cpu().numpy())).float().to(indices.device)
    # the box is centred anywhere and clipped at the edges, and the share is what is then left
    half = 0.5 * (1 - share).sqrt()
    centre_x, centre_y = (x * width).floor(), (y * height).floor()
    left, right = ((centre_x + sign * (half * width).floor()).clamp(0, width) for sign in (-1, 1))
    top, bottom = ((centre_y + sign * (half * height).floor()).clamp(0, height) for sign in (-1, 1))
    boxes = torch.stack([left, top, right - left, bottom - top], 1).long() * cut[:, None]
    kept = 1 - (boxes[:, 2] * boxes[:, 3]).float() / (height * width)
    return Mix(torch.where(cut, kept, share), boxes)


def apply_mix(images: Tensor, labels: Tensor, mix: Mix, classes: int) -> tuple[Tensor, Tensor]:
    """Return the mixed pictures and their targets, float32 N K; of one class each, their rows sum to one.

    Each sample's partner is the one before it in the batch.

    Args:
        images: float, N C H W.
        labels: int64 N, or bool N K.
    """
    partners = images.roll(1, 0)
    is_cut = (mix.boxes[:, 2] > 0)[:, None, None, None]
    weight = torch.where(is_cut, 1.0, mix.share[:, None, None, None])
    blended = weight * images + (1 - weight) * partners
    mixed = torch.where(inside_boxes(mix.boxes, (images.shape[2], images.shape[3])), partners, blended)
    own = labels.float() if labels.ndim == 2 else F.one_hot(labels, classes).float()
    return mixed, mix.share[:, None] * own + (1 - mix.share[:, None]) * own.roll(1, 0)
