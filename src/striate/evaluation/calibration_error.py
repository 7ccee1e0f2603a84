"""How far probabilities can be believed: expected calibration error with its interval, Brier score, likelihood.

Probabilities are binned into 15 bins of equal width, ((b − 1)/15, b/15], as in Guo et al. 2017 (arXiv 1706.04599),
section 2; the expected calibration error is the mean over all answers of their bin's |accuracy − mean confidence|.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.evaluation.decision import confidence, decide, to_probabilities
from striate.evaluation.metrics import Z_95

BINS = 15
RESAMPLES, SEEDS = 200, (0, 1)  # a standard error needs no more: Efron and Tibshirani 1993, section 6.4


@dataclass(frozen=True)
class CalibrationFigures:
    """What probabilities on one part are worth; all are better the smaller they are.

    Args:
        ece: Expected calibration error of the answers' probabilities, 0 … 1. Where a picture may be of any number of
            classes, each class is an answer of its own, present or absent.
        ece_interval_95: Its 95 % interval (`ece_interval`).
        classwise_ece: Mean over the classes of the same error of each class's own probability (Kull et al. 2019,
            arXiv 1910.12656).
        brier: Mean squared distance from the truth: of a picture summed over the classes, 0 … 2 (Brier 1950); of
            any number of classes the mean over them, 0 … 1.
        nll: Mean negative log-likelihood: cross-entropy, or the mean binary one.
    """

    ece: float
    ece_interval_95: list[float]
    classwise_ece: float
    brier: float
    nll: float


@dataclass(frozen=True)
class Bins:
    """Answers in 15 bins of their probability.

    Args:
        count: int64, 15.
        confidence: float64, 15; mean probability of the bin's answers, 0 where there is none.
        right: int64, 15; how many of them are right.
    """

    count: Tensor
    confidence: Tensor
    right: Tensor


def calibration_figures(logits: Tensor, labels: Tensor) -> CalibrationFigures:
    """Return the figures of logits (float, N K), already over their temperature, for labels (int64 N or bool N K)."""
    logits, multi_label = logits.double(), labels.ndim == 2
    probabilities = to_probabilities(logits, multi_label)
    truth = labels.double() if multi_label else F.one_hot(labels, logits.shape[1]).double()  # N K
    confidences, right = answers(logits, labels)
    distances = (probabilities - truth).square()
    loss = F.binary_cross_entropy_with_logits(logits, truth) if multi_label else F.cross_entropy(logits, labels)
    return CalibrationFigures(
        ece=_error(_gaps(confidences, right).sum(0), right),
        ece_interval_95=list(ece_interval(confidences, right)),
        classwise_ece=classwise_ece(probabilities, truth),
        brier=float(distances.mean() if multi_label else distances.sum(1).mean()),
        nll=float(loss),
    )


def answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of each picture's answers (float64) and whether they are right (bool), both N A.

    A is 1, or K where a picture may be of any number of classes.
    """
    multi_label = labels.ndim == 2
    probabilities, predictions = to_probabilities(logits.double(), multi_label), decide(logits, multi_label)
    right = predictions == labels
    if multi_label:
        return probabilities.where(predictions, 1 - probabilities), right
    return confidence(probabilities, predictions)[:, None], right[:, None]


def bin_numbers(confidences: Tensor) -> Tensor:
    """Return each probability's bin, int64 of the same shape; 0 lies in the first."""
    edges = torch.arange(1, BINS, dtype=torch.float64) / BINS
    return torch.bucketize(confidences.double().contiguous(), edges)


def reliability_bins(confidences: Tensor, right: Tensor) -> Bins:
    """Return the bins of answers: their probabilities, and whether they are right, of one shape."""
    numbers = bin_numbers(confidences).flatten()
    count = torch.bincount(numbers, minlength=BINS)
    sums = torch.zeros(BINS, dtype=torch.float64).index_add_(0, numbers, confidences.double().flatten())
    hits = torch.bincount(numbers, weights=right.double().flatten(), minlength=BINS)
    return Bins(count, sums / count.clamp_min(1), hits.round().long())


def classwise_ece(probabilities: Tensor, truth: Tensor) -> float:
    """Return the mean over classes of the binned |share of the class − mean probability|; both arguments N K."""
    count, classes = probabilities.shape
    numbers = bin_numbers(probabilities) + BINS * torch.arange(classes)
    sums = torch.zeros(classes * BINS, dtype=torch.float64)
    sums.index_add_(0, numbers.flatten(), (truth - probabilities).double().flatten())
    return float(sums.abs().sum() / (count * classes))


def ece_interval(confidences: Tensor, right: Tensor) -> tuple[float, float]:
    """Return the 95 % interval of the expected calibration error, by resampling that is always the same.

    It ends at e + 1.96 s, with deviation s of the resampled errors. Binned errors are too large on few pictures, and
    resampling pictures makes them so once more, with mean ē; so it begins at 2 e − ē − 1.96 s (Davison and Hinkley
    1997, "Bootstrap Methods", section 5.2), and at 0 where e is no larger than what chance alone makes of right
    probabilities in 39 of 40 cases (Bröcker and Smith 2007, "Increasing the Reliability
    of Reliability Diagrams").

    Args:
        confidences, right: N A, as of `answers`.
    """
    count, gaps = len(right), _gaps(confidences, right)
    pictures, chance = (torch.Generator().manual_seed(seed) for seed in SEEDS)
    said, numbers = confidences.double().flatten(), bin_numbers(confidences).flatten()
    error, resampled, by_chance = _error(gaps.sum(0), right), [], []
    for _ in range(RESAMPLES):
        times = torch.bincount(torch.randint(count, (count,), generator=pictures), minlength=count)
        resampled.append(_error(times.double() @ gaps, right))
        drawn = (torch.rand(len(said), generator=chance, dtype=torch.float64) < said).double()
        by_chance.append(_error(torch.bincount(numbers, weights=drawn - said), right))
    others = torch.tensor(resampled, dtype=torch.float64)
    excess, half = max(float(others.mean()) - error, 0.0), Z_95 * float(others.std())
    usual = float(torch.tensor(by_chance, dtype=torch.float64).quantile(0.975))
    return 0.0 if error <= usual else max(error - excess - half, 0.0), min(error + half, 1.0)


def _gaps(confidences: Tensor, right: Tensor) -> Tensor:
    """Return for each picture the sums over its answers in each bin of (right − confidence), float64 N 15."""
    gaps = torch.zeros(len(right), BINS, dtype=torch.float64)
    return gaps.scatter_add_(1, bin_numbers(confidences), right.double() - confidences.double())


def _error(gaps: Tensor, right: Tensor) -> float:
    """Return the expected calibration error from the bins' sums of gaps over all answers."""
    return float(gaps.abs().sum()) / right.numel()
