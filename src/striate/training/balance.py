"""Classes of very different size: how much each counts in the loss, chosen from the training part's counts.

A network that is to be right as often as possible learns little of a class that it seldom sees. With weights every
class counts about as much as any other in the loss; with sampling it is seen as often (data/loader.py). Either way the
probabilities become those of classes that are equally frequent. Validation and test are measured without any of this.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from striate.core.settings import Balance
from striate.data.dataset import ImageDataset
from striate.evaluation.metrics import IMBALANCED

BETA = 0.999
CAP = 20.0  # times the weight of the largest class: one picture is not to outweigh its whole batch


def choose_balance(data: ImageDataset) -> tuple[Balance, str]:
    """Return 'none' or 'weights' for a training part, and why."""
    if data.multi_label:
        return "none", "each class has an output of its own"
    counts = data.class_counts()
    ratio = max(counts) / max(min(counts), 1)
    told = f"the largest class has {ratio:.1f} times the pictures of the smallest"
    return ("none" if ratio < IMBALANCED else "weights"), told


def class_weights(counts: Sequence[int]) -> Tensor:
    """Return what a picture of each class counts in the loss, float32 K, 1 on average over all pictures.

    The weight of a class of n pictures goes with 1 / Eₙ, Eₙ = (1 − βⁿ) / (1 − β) being its effective number (Cui, Jia,
    Lin, Song and Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 2, with
    β = 0.999): of small classes that is 1 / n, beyond some thousand pictures more of them change nothing. It is at
    most CAP times that of the largest class.

    Args:
        counts: Pictures of each class; of a class without any the weight is that of one picture.
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    weights = (1 - BETA) / (1 - BETA ** numbers.clamp_min(1))
    weights = weights.clamp_max(CAP * float(weights.min()))
    return (weights * numbers.sum() / (weights * numbers).sum()).float()


def positive_weights(counts: Sequence[int], total: int) -> Tensor:
    """Return what a picture that is of a class counts beside one that is not, for each class, float32 K.

    It is (N − n) / n, so that both kinds count the same in the class's loss, between 1 / CAP and CAP.

    Args:
        counts: n, the pictures that are of each class.
        total: N, all pictures.
    """
    positives = torch.tensor(counts, dtype=torch.float64)
    return ((total - positives) / positives.clamp_min(1)).clamp(1 / CAP, CAP).float()


def loss_weights(data: ImageDataset, balance: Balance | None) -> Tensor | None:
    """Return the weights of the classes in the loss of a training part, None where all count the same."""
    if balance != "weights":
        return None
    counts = data.class_counts()
    return positive_weights(counts, len(data)) if data.multi_label else class_weights(counts)


def picture_weights(data: ImageDataset, balance: Balance | None) -> Tensor | None:
    """Return what each picture counts where all are seen at once, float32 N; None where all count the same.

    Sampling, which shows every class equally often, is then a weight as well. Of pictures of several classes none
    can be said.
    """
    if data.multi_label or balance not in ("weights", "sampling"):
        return None
    counts = data.class_counts()
    each = class_weights(counts) if balance == "weights" else len(data) / (len(counts) * torch.tensor(counts).float())
    return each[data.labels]
