"""Integrated gradients: what each pixel adds to the class score on the way from an empty picture to this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from striate.explain.saliency.score import class_scores, explained_classes, looking, pictures_at_once
from striate.models import Classifier

STEPS = (32, 128, 512)  # more of them where the sum does not come out
TOLERANCE = 0.01  # of the change of the score
LEAST_CHANGE = 1e-3  # of a score, below which there is next to nothing to share out


@dataclass(frozen=True, eq=False)
class IntegratedGradients:
    """What each value of the input adds to the class score.

    Args:
        values: N C H W; they sum to the change of the score from the baseline to the picture.
        steps: int64 N; points on the way at which each picture's gradient was taken.
        gap: float32 N; how far the sum is off, as a share of that change (of 0.001 where it is smaller).
    """

    values: Tensor
    steps: Tensor
    gap: Tensor

    @property
    def complete(self) -> Tensor:
        """Whose sum comes out within 1 %, bool N."""
        return self.gap <= TOLERANCE


def integrated_gradients(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor | int | None = None,
    baseline: Tensor | None = None,
    steps: Sequence[int] = STEPS,
) -> IntegratedGradients:
    """Return (x − x′) · ∫₀¹ ∂S/∂x at x′ + t (x − x′) dt, by Gauss and Legendre's points.

    Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, equations 1 to 3. They advise to
    check that the sum is S(x) − S(x′) (completeness): pictures for which it is more than 1 % off are done again with
    the next number of steps, and what is still missing at the end is told in `gap`.

    The baseline stands for a picture that shows nothing. It is 0 in the network's own input unless given: the mean
    colour of the training pictures. A black one, as is usual, could never attribute anything to a black pixel, and in
    half of all data sets black is ink.

    Args:
        inputs: Network inputs, N C H W.
        targets: Class numbers, one for all or one each; None for the class of the largest logit.
        baseline: What is to count as nothing, a tensor that can be laid out as N C H W.
        steps: Numbers of points to try, ascending.

    Raises:
        SettingsError: No such class.
    """
    classes = explained_classes(model, inputs, targets)
    with looking(model):
        start = torch.zeros_like(inputs) if baseline is None else baseline.to(inputs).expand_as(inputs).clone()
        values = torch.zeros_like(inputs, memory_format=torch.contiguous_format)
        used = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
        gap = torch.full((len(inputs),), torch.inf, device=inputs.device)
        pending = torch.arange(len(inputs), device=inputs.device)
        with torch.no_grad():
            change = _scores(model, inputs, classes) - _scores(model, start, classes)
        for count in steps:
            for some in pending.split(max(1, pictures_at_once(inputs) // count)):
                values[some] = _along(model, inputs[some].clone(), start[some].clone(), classes[some], count)
            found = values[pending].double().sum((1, 2, 3)).to(change)
            gap[pending] = (found - change[pending]).abs() / change[pending].abs().clamp_min(LEAST_CHANGE)
            used[pending] = count
            pending = pending[gap[pending] > TOLERANCE]
            if len(pending) == 0:
                break
    return IntegratedGradients(values, used, gap.nan_to_num(torch.inf, torch.inf))


def _along(model: Classifier, pictures: Tensor, start: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the integral of each picture, P C H W."""
    places, weights = np.polynomial.legendre.leggauss(count)
    along = torch.tensor((places + 1) / 2).to(pictures)  # t on [0, 1]
    shares = torch.tensor(weights / 2).to(pictures)
    total, difference = torch.zeros_like(pictures), pictures - start
    at_once = max(1, pictures_at_once(pictures) // len(pictures))
    for part, share in zip(along.split(at_once), shares.split(at_once), strict=True):
        way = start[:, None] + part[:, None, None, None] * difference[:, None]  # P n C H W
        way = way.flatten(0, 1).requires_grad_()
        scores = class_scores(model, way, targets.repeat_interleave(len(part)))
        (gradient,) = torch.autograd.grad(scores.sum(), way)
        total += torch.einsum("n,pnchw->pchw", share, gradient.unflatten(0, (len(pictures), -1)))
    return total * difference


def _scores(model: Classifier, inputs: Tensor, classes: Tensor) -> Tensor:
    at_once = pictures_at_once(inputs)
    parts = zip(inputs.split(at_once), classes.split(at_once), strict=True)
    return torch.cat([class_scores(model, part, theirs) for part, theirs in parts])
