"""Figures from predictions where a picture may be of any number of classes: by class and over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.evaluation.metrics import ClassScore, f1_score, scores_from_counts


@dataclass(frozen=True)
class LabelScore(ClassScore):
    """One class's scores where a picture may be of any number of classes.

    Args:
        average_precision: Area under its curve of precision over recall; None without a picture.
    """

    average_precision: float | None


def label_scores(logits: Tensor, predictions: Tensor, labels: Tensor, classes: Sequence[str]) -> list[LabelScore]:
    """Return each class's scores.

    Args:
        logits: Float, N K.
        predictions, labels: Bool, N K.
        classes: The K names.
    """
    scores = scores_from_counts(classes, (predictions & labels).sum(0), labels.sum(0), predictions.sum(0))
    precisions = [average_precision(column, truth) for column, truth in zip(logits.mT, labels.mT, strict=True)]
    return [LabelScore(**vars(score), average_precision=one) for score, one in zip(scores, precisions, strict=True)]


def average_precision(scores: Tensor, labels: Tensor) -> float | None:
    """Return Σ (Rₙ − Rₙ₋₁) Pₙ over the n distinct scores from the largest on; None where no label is true.

    Pₙ and Rₙ are precision and recall where everything of at least the n-th score is predicted. The definition
    is scikit-learn's, without interpolation.

    Args:
        scores: N; logits, as probabilities near 1 are equal.
        labels: Bool, N.
    """
    positives = int(labels.sum())
    if positives == 0:
        return None
    ranked, order = scores.sort(descending=True)
    is_last = torch.cat([ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool)])  # of equal scores
    hits = labels[order].cumsum(0)[is_last].double()
    predicted = is_last.nonzero().squeeze(1) + 1
    gained = hits.diff(prepend=torch.zeros(1, dtype=torch.float64))
    return float((gained * hits / predicted).sum() / positives)


def macro_f1(scores: Sequence[ClassScore]) -> float | None:
    """Return the mean F1 of the classes that have one."""
    defined = [score.f1 for score in scores if score.f1 is not None]
    return sum(defined) / len(defined) if defined else None


def micro_f1(predictions: Tensor, labels: Tensor) -> float | None:
    """Return F1 of all answers (bool, N K) taken together; None where no class is true or predicted."""
    return f1_score(int((predictions & labels).sum()), int(labels.sum()), int(predictions.sum()))
