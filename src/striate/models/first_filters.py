"""The filters of the first layer that learns, as patterns of pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.models.contract import Classifier
from striate.models.stem import PatchStem


@torch.no_grad()
def first_filters(model: Classifier) -> Tensor | None:
    """Return the first convolution's filters, float32 O C k k with C of the picture; None without a convolution.

    Where that is a whitening stem, which training leaves alone, they are the next convolution's, seen through it
    (`through_stem`).
    """
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        return None
    first, *others = convolutions
    stem = next((module for module in model.modules() if isinstance(module, PatchStem)), None)
    if stem is not None and stem.conv is first and not first.weight.requires_grad and others:
        return through_stem(stem, others[0].weight)
    return first.weight.detach().float()


def through_stem(stem: PatchStem, filters: Tensor) -> Tensor:
    """Return what filters O 2D k k on a whitening stem's maps respond to in pixels: O C k+1 k+1.

    The stem gives a(x) and a(-x) of D patterns x. Of ReLU and GELU alike a(x) = x / 2 + e(x) with an even function e,
    so that the part of the response which changes sign with the picture is exactly a convolution with these patterns.
    """
    patterns = stem.conv.weight.detach().float()  # 2D C 2 2
    weights = filters.detach().float() / 2
    # a convolution of the two: to each place of the second all of the first is added
    return F.conv_transpose2d(weights, patterns)
