"""Confident learning: which given labels are probably wrong, from probabilities by models that never saw them.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of Artificial
Intelligence Research 70, 2021. A picture counts as class j where its probability of j is at least as high as is usual
among the pictures labelled j; how often that is another class than the given one estimates the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor


def thresholds(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return each class's mean probability among the pictures labelled so, float64 K; infinite without any (eq. 2).

    Args:
        labels: Given classes, int64 N.
        probabilities: Out of fold, N K.
    """
    classes = probabilities.shape[1]
    own = probabilities.double().gather(1, labels[:, None]).squeeze(1)
    sums = torch.zeros(classes, dtype=torch.float64).index_add(0, labels, own)
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, sums / counts, torch.inf)


def confident_joint(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return how many pictures labelled i count as class j, int64 K K (eq. 1).

    A picture that reaches the thresholds of several classes counts as the most probable of them, one that reaches
    none does not count.

    Args:
        labels: int64 N.
        probabilities: Out of fold, N K.
    """
    classes = probabilities.shape[1]
    reached = probabilities.double() >= thresholds(labels, probabilities)
    counted = reached.any(1)
    likeliest = torch.where(reached, probabilities, -1).argmax(1)
    cells = (labels * classes + likeliest)[counted]
    return torch.bincount(cells, minlength=classes**2).reshape(classes, classes)


def estimated_joint(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return about how many of all pictures labelled i are of class j, float64 K K (eq. 3, times N).

    Each row of the confident joint is brought to the number of pictures labelled so; a row that nothing was counted
    in says that all of them are what they are labelled.
    """
    classes = probabilities.shape[1]
    counted = confident_joint(labels, probabilities).double()
    counted = torch.where(counted.sum(1, keepdim=True) > 0, counted, torch.eye(classes, dtype=torch.float64))
    given = torch.bincount(labels, minlength=classes).double()
    return counted / counted.sum(1, keepdim=True) * given[:, None]


def label_errors(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return the numbers of the pictures whose labels are probably wrong, int64, the worst first.

    They are chosen by noise rate (section 3.2, method PBNR): for each pair of classes i ≠ j, as many of the pictures
    labelled i as are estimated to be of class j, those with the largest probability of j less that of i. Of these,
    pictures whose given class is the most probable one stay unsuspected, as in the authors' own program. They are
    ranked by the probability of the given class (self-confidence); by the normalised margin, which looks at how sure
    the other class is as well, fewer of the labels that were turned at random come first.

    Args:
        labels: int64 N.
        probabilities: Out of fold, N K.
    """
    numbers = estimated_joint(labels, probabilities).round().long()
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    for given in labels.unique().tolist():
        members = (labels == given).nonzero().squeeze(1)
        for other in numbers[given].nonzero().squeeze(1).tolist():
            if other != given:
                gain = probabilities[members, other] - probabilities[members, given]
                wrong[members[gain.argsort(descending=True, stable=True)[: numbers[given, other]]]] = True
    suspects = (wrong & (probabilities.argmax(1) != labels)).nonzero().squeeze(1)
    confidence = probabilities[suspects, labels[suspects]]
    return suspects[confidence.argsort(stable=True)]
