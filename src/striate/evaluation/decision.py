"""From logits to an answer: the most probable class, or, of multi-label networks, every class that is probable.

Labels say which it is: int64 N, one class each, or bool N K, any number of classes each.
"""

from __future__ import annotations

from torch import Tensor

THRESHOLD = 0.5


def to_probabilities(logits: Tensor, multi_label: bool) -> Tensor:
    """Return the probabilities of logits, N K: softmax over the classes, or the logistic function of each."""
    return logits.sigmoid() if multi_label else logits.softmax(1)


def decide(logits: Tensor, multi_label: bool) -> Tensor:
    """Return what the logits (N K) say: the class of the largest, the first of equals (int64, N).

    Of multi-label networks it is all classes of probability 0.5 or more (bool, N K).
    """
    return logits.sigmoid() >= THRESHOLD if multi_label else logits.argmax(1)


def is_right(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return whether each picture's class, or its whole set of classes, is the true one (bool, N)."""
    same = predictions == labels
    return same if same.ndim == 1 else same.all(1)


def confidence(probabilities: Tensor, predictions: Tensor) -> Tensor:
    """Return the probability of what is predicted of each picture, N.

    Of a set of classes it is the product over all classes of their being in it or not.
    """
    if predictions.ndim == 1:
        return probabilities.gather(1, predictions[:, None]).squeeze(1)
    return probabilities.where(predictions, 1 - probabilities).prod(1)
