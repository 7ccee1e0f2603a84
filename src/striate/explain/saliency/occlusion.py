"""Occlusion: how much the class score falls where a patch of the picture is covered."""

from __future__ import annotations

import torch
from torch import Tensor

from striate.core.errors import SettingsError
from striate.explain.saliency.score import class_scores, explained_classes, looking, pictures_at_once
from striate.models import Classifier

SHARE = 0.2  # of the picture's shorter side that a patch takes


def occlusion(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor | int | None = None,
    side: int | None = None,
    stride: int | None = None,
    baseline: Tensor | None = None,
) -> Tensor:
    """Return for each pixel the mean fall of the class score over all patches that cover it; N H W.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2, who cover with
    grey; here it is 0 in the network's own input, the mean colour of the training pictures, unless given.

    Args:
        inputs: Network inputs, N C H W.
        targets: Class numbers, one for all or one each; None for the class of the largest logit.
        side: Pixels of the square patch; a fifth of the picture's shorter side by default.
        stride: Pixels between patches; half a patch by default. The last one ends at the edge.
        baseline: What covers, a tensor that can be laid out as N C H W.

    Raises:
        SettingsError: No such class, or a patch that does not fit.
    """
    classes = explained_classes(model, inputs, targets)
    height, width = inputs.shape[2:]
    side = max(1, round(SHARE * min(height, width))) if side is None else side
    stride = max(1, side // 2) if stride is None else stride
    if not (1 <= side <= min(height, width) and stride >= 1):
        raise SettingsError(
            f"a patch of {side} pixels every {stride} does not fit a picture of {height}×{width}",
            fix=f"choose a side of 1 … {min(height, width)} and a stride of 1 or more",
        )
    cover = torch.zeros_like(inputs) if baseline is None else baseline.to(inputs).expand_as(inputs)
    patches = torch.stack(
        [_patch(height, width, top, left, side) for top, left in _corners(height, width, side, stride)]
    )
    patches = patches.to(inputs.device)  # P H W
    at_once = max(1, pictures_at_once(inputs) // len(patches))
    with looking(model), torch.no_grad():
        groups = zip(inputs.split(at_once), cover.split(at_once), classes.split(at_once), strict=True)
        found = [_falls(model, pictures, theirs, some, patches) for pictures, theirs, some in groups]
        return torch.cat(found) / patches.sum(0)


def _falls(model: Classifier, pictures: Tensor, cover: Tensor, targets: Tensor, patches: Tensor) -> Tensor:
    """Return the sum over the patches of each picture's fall, each where it lies, M H W."""
    whole = class_scores(model, pictures, targets)
    total = torch.zeros_like(pictures[:, 0])
    for some in patches.split(max(1, pictures_at_once(pictures) // len(pictures))):
        covered = torch.where(some[:, None], cover[:, None], pictures[:, None]).flatten(0, 1)  # M·p C H W
        scores = class_scores(model, covered, targets.repeat_interleave(len(some)))
        falls = whole[:, None] - scores.unflatten(0, (len(pictures), -1))
        total += torch.einsum("mp,phw->mhw", falls, some.to(falls))
    return total


def _patch(height: int, width: int, top: int, left: int, side: int) -> Tensor:
    patch = torch.zeros(height, width, dtype=torch.bool)
    patch[top : top + side, left : left + side] = True
    return patch


def _corners(height: int, width: int, side: int, stride: int) -> list[tuple[int, int]]:
    """Return top and left of every patch."""
    tops, lefts = (sorted({*range(0, length - side, stride), length - side}) for length in (height, width))
    return [(top, left) for top in tops for left in lefts]
