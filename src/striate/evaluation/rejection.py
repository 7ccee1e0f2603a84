"""When to say "don't know": the threshold under which a wanted error rate is kept among the answers that are given.

The rule is that of selective classification in Angelopoulos and Bates, "A Gentle Introduction to Conformal Prediction"
(arXiv 2107.07511), an instance of Angelopoulos et al., "Learn then Test" (arXiv 2110.01052, fixed sequence testing):
thresholds are tested from the strictest on, each by the exact binomial test, and the first that fails ends it. As the
order is fixed, all of them together are wrong with a probability of 10 % at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.evaluation.metrics import wilson_interval

SURENESS = 0.9  # probability, over the choice of the held-out pictures, with which the promise is kept
LEAST_COVERAGE = 0.25  # of held-out pictures; the strictest threshold tested accepts so many


@dataclass(frozen=True)
class AcceptedFigures:
    """What a network does on the pictures whose answer is accepted.

    Args:
        count: How many they are.
        coverage: Their share of all pictures.
        correct: Those of them classified rightly.
        accuracy: correct / count; None where none is accepted.
        interval_95: Its 95 % interval (Wilson).
    """

    count: int
    coverage: float
    correct: int
    accuracy: float | None
    interval_95: list[float]


def accepted_figures(accepted: Tensor, right: Tensor) -> AcceptedFigures:
    """Return the figures of pictures, from whether each is accepted and right, bool N each."""
    count, correct = int(accepted.sum()), int((accepted & right).sum())
    return AcceptedFigures(
        count=count,
        coverage=count / len(right),
        correct=correct,
        accuracy=correct / count if count else None,
        interval_95=list(wilson_interval(correct, count)),
    )


def needed_pictures(error_rate: float) -> int:
    """Return the least number of held-out pictures that can promise an error rate: with none of them wrong."""
    return math.ceil(math.log(1 - SURENESS) / math.log1p(-error_rate))


def binomial_cdf(errors: int, count: int, rate: float) -> float:
    """Return the probability of `errors` or fewer among `count` where each is one with probability `rate`."""
    k = torch.arange(min(errors, count) + 1, dtype=torch.float64)
    ways = math.lgamma(count + 1) - torch.lgamma(k + 1) - torch.lgamma(count - k + 1)
    return min(float((ways + k * math.log(rate) + (count - k) * math.log1p(-rate)).exp().sum()), 1.0)


def reject_threshold(confidences: Tensor, right: Tensor, error_rate: float) -> float | None:
    """Return the least probability to accept, so that of what is accepted at most `error_rate` is wrong.

    That is so with a probability of 90 % over the choice of the held-out pictures, if new pictures come from where
    they came from and surer answers are not more often wrong. A threshold passes where so few wrong answers as it
    lets through would have at most a 10 % chance at the error rate: where the 90 % Clopper-Pearson bound is below it.

    Args:
        confidences: Float, N; probabilities of the answers to held-out pictures.
        right: Bool, N.
        error_rate: 0 < rate < 1.

    Returns:
        The threshold; None where there are fewer than `needed_pictures`, or even the surest quarter is wrong too often.
    """
    ranked, order = confidences.sort(descending=True, stable=True)
    wrong = (~right[order]).cumsum(0)
    is_last = torch.cat([ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool)])  # of equal ones
    start = max(needed_pictures(error_rate), math.ceil(LEAST_COVERAGE * len(right)))
    threshold, tested = None, -1
    for position in is_last.nonzero().squeeze(1).tolist():
        if position + 1 < start:
            continue
        errors = int(wrong[position])
        if errors != tested:  # with more pictures and no more errors it passes again
            if binomial_cdf(errors, position + 1, error_rate) > 1 - SURENESS:
                break
            tested = errors
        threshold = float(ranked[position])
    return threshold
