"""The loss of a classifier: cross-entropy, or binary cross-entropy where a picture may be of several classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classification_loss(logits: Tensor, targets: Tensor, multi_label: bool, smoothing: float = 0.0) -> Tensor:
    """Return the mean loss of a batch: `binary_cross_entropy` of multi-label networks, else `cross_entropy`."""
    loss = binary_cross_entropy if multi_label else cross_entropy
    return loss(logits, targets, smoothing)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean over pictures of −Σₖ tₖ log softmax(z)ₖ, with t = y (1 − ε) + ε / K.

    Args:
        logits: z, float, N K.
        targets: y; class numbers, int64, N, or shares of the classes, float, N K.
        smoothing: ε, 0 … 1.
    """
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)


def binary_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean over pictures and classes of −t log σ(z) − (1 − t) log(1 − σ(z)), with t = y (1 − ε) + ε / 2.

    Args:
        logits: z, float, N K.
        targets: y, float, N K, 0 … 1.
        smoothing: ε, 0 … 1.
    """
    return F.binary_cross_entropy_with_logits(logits, targets * (1 - smoothing) + smoothing / 2)
