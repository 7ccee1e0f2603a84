"""Figures from predictions: accuracy with its interval, confusion matrix, per-class scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Z_95 = 1.959963984540054
IMBALANCED = 3.0  # times the pictures of the smallest class in the largest, from which accuracy alone misleads


def wilson_interval(correct: float, count: float, z: float = Z_95) -> tuple[float, float]:
    """Return the score interval of a proportion, 95 % by default (Wilson 1927).

    It stays inside [0, 1] and is honest near 0 and 1, where the usual ± is not. (0, 1) for no pictures.

    Args:
        correct, count: Whole numbers of pictures, or effective ones.
    """
    if count == 0:
        return 0.0, 1.0
    share = correct / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == count else centre + half
    return low, high


def confusion_matrix(labels: Tensor, predictions: Tensor, classes: int) -> Tensor:
    """Return counts, int64 K K: row = true class, column = predicted class."""
    return torch.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class ClassScore:
    """One class's scores on [0, 1]; None where they are not defined (no picture, or none predicted).

    Args:
        name: The class.
        count: Pictures that truly are of it.
        precision: Of those predicted to be of it, the share that is.
        recall: Of those that are of it, the share predicted so.
        f1: Harmonic mean of the two.
    """

    name: str
    count: int
    precision: float | None
    recall: float | None
    f1: float | None


def class_scores(confusion: Tensor, classes: Sequence[str]) -> list[ClassScore]:
    """Return each class's scores from a confusion matrix (rows: true)."""
    return scores_from_counts(classes, confusion.diagonal(), confusion.sum(1), confusion.sum(0))


def scores_from_counts(classes: Sequence[str], hits: Tensor, truly: Tensor, predicted: Tensor) -> list[ClassScore]:
    """Return each class's scores from its numbers of hits, true pictures and predicted ones, int64 K each."""
    return [
        ClassScore(
            name=name,
            count=t,
            precision=hit / p if p else None,
            recall=hit / t if t else None,
            f1=f1_score(hit, t, p) if t else None,
        )
        for name, hit, t, p in zip(classes, hits.tolist(), truly.tolist(), predicted.tolist(), strict=True)
    ]


def f1_score(hits: int, truly: int, predicted: int) -> float | None:
    """Return F1 = 2 TP / (2 TP + FP + FN) from TP and the numbers of true and predicted; None where both are 0."""
    return 2 * hits / (truly + predicted) if truly + predicted else None


def top_k_accuracy(logits: Tensor, labels: Tensor, k: int) -> float:
    """Return the share of pictures whose class is among the k most probable, the first of equals before others.

    Args:
        logits: N K; not probabilities, which are 0 alike far from the largest.
        labels: int64, N.
    """
    best = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    return float((best == labels[:, None]).any(1).double().mean())
