"""The optimizers of the picture: L-BFGS, as in the paper, and Adam, which in a hundred steps comes a little further."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.optim.adam import adam

from striate.training.lbfgs import descent
from striate.training.optimizer import BETAS, EPSILON

Evaluate = Callable[[Tensor], tuple[float, Tensor]]
RATE = 0.03  # at which Adam begins, and the mean change of the first step of L-BFGS


def by_lbfgs(evaluate: Evaluate, start: Tensor, steps: int) -> Iterator[Tensor]:
    """Yield the point after each step; ends earlier where no step brings any decrease.

    Args:
        evaluate: From a point to the value and its gradient.
        start: Where to begin.
        steps: At most.
    """
    _, gradient = evaluate(start)
    mean = gradient.abs().mean()
    inverse = torch.where(mean > 0, RATE / mean, torch.ones_like(mean))
    yield from descent(evaluate, start, inverse, tolerance=0.0, most=steps)


def by_adam(evaluate: Evaluate, start: Tensor, steps: int) -> Iterator[Tensor]:
    """Yield the point after each step; the rate falls linearly to 0. Arguments as in `by_lbfgs`."""
    point, (_, gradient) = start.clone(), evaluate(start)
    mean, square = torch.zeros_like(point), torch.zeros_like(point)
    count = torch.zeros((), device=point.device)
    for step in range(steps):
        adam(
            [point], [gradient], [mean], [square], [], [count], amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
            lr=RATE * (1 - step / steps), weight_decay=0.0, eps=EPSILON, maximize=False,
        )  # fmt: skip
        _, gradient = evaluate(point)
        yield point


OPTIMIZERS = {"lbfgs": by_lbfgs, "adam": by_adam}
