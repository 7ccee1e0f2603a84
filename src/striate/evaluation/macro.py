"""Figures in which every class counts the same, however many pictures it has: means over the classes with a picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.evaluation.metrics import wilson_interval


class Macro(NamedTuple):
    """A mean over the classes with a picture, on [0, 1], and its 95 % interval."""

    value: float
    interval: tuple[float, float]


def balanced_accuracy(confusion: Tensor) -> Macro:
    """Return the mean of the classes' recalls rₖ, of those with pictures.

    Its variance is Σ rₖ (1 − rₖ) / nₖ / K², as the classes' pictures are independent.

    Args:
        confusion: Counts, int64 K K; row = true class.
    """
    counts = confusion.sum(1).double()
    there = counts > 0
    recalls = confusion.diagonal()[there] / counts[there]
    variance = (recalls * (1 - recalls) / counts[there]).sum() / len(recalls) ** 2
    return _with_interval(recalls.mean(), variance, counts[there])


def macro_f1(confusion: Tensor) -> Macro:
    """Return the mean of the classes' F1, of those with pictures.

    Its variance is that of its first-order expansion in the numbers of the confusion matrix, whose rows are
    independent multinomials (the delta method; Takahashi, Yamamoto, Kuchiba and Koyama, "Confidence interval for
    micro-averaged F1 and macro-averaged F1 scores", Applied Intelligence 2022, do it for one multinomial).

    Args:
        confusion: Counts, int64 K K; row = true class.
    """
    table = confusion.double()
    counts = table.sum(1)
    there = counts > 0
    both, hits = counts + table.sum(0), table.diagonal()
    # what one more picture of class i that is taken for class j adds: gain_j if i = j, less loss_j
    gain = torch.where(there, 2 / both, 0.0)
    loss = torch.where(there, 2 * hits / both.square(), 0.0)
    total = hits * gain - table @ loss
    squares = hits * (gain.square() - 2 * gain * loss) + table @ loss.square()
    spread = squares[there] - total[there].square() / counts[there]
    f1 = (2 * hits / both)[there]
    return _with_interval(f1.mean(), spread.sum() / len(f1) ** 2, counts[there])


def _with_interval(value: Tensor, variance: Tensor, counts: Tensor) -> Macro:
    """Return the figure with Wilson's interval for the effective number of pictures.

    That is the number of which a proportion would have this variance (Korn and Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", 1998), and at most Kish's,
    K² / Σ 1 / nₖ: where no mistake was made in a class of few pictures, that says little of it. Of classes of one
    size it is, for the balanced accuracy, the accuracy's own interval.
    """
    share = float(value)
    size = len(counts) ** 2 / float((1 / counts).sum())
    if variance > 0 and 0 < share < 1:
        size = min(size, share * (1 - share) / float(variance))
    return Macro(share, wilson_interval(share * size, size))


def balanced_loss(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over the classes with pictures of their mean cross-entropy.

    Args:
        logits: Float, N K.
        labels: int64, N.
    """
    losses = F.cross_entropy(logits, labels, reduction="none").double()
    counts = torch.bincount(labels, minlength=logits.shape[1])
    sums = torch.zeros(logits.shape[1], dtype=torch.float64).index_add_(0, labels, losses)
    return float((sums / counts)[counts > 0].mean())
