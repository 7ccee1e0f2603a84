"""The loss of a classifier: cross-entropy, or binary cross-entropy where a picture may be of several classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classification_loss(
    logits: Tensor, targets: Tensor, multi_label: bool, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return the mean loss of a batch: `binary_cross_entropy` of multi-label networks, else `cross_entropy`."""
    loss = binary_cross_entropy if multi_label else cross_entropy
    return loss(logits, targets, smoothing, weights)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Return the mean over pictures of −Σₖ tₖ log softmax(z)ₖ, with t = y (1 − ε) + ε / K.

    With weights a picture of class c counts w_c times, smoothed or not, and one that is mixed of several classes by
    its shares of them: t = Σ_c y_c w_c (e_c (1 − ε) + ε / K). The mean is still over the number of pictures, so that
    a batch's gradient is, on average, the data's.

    Args:
        logits: z, float, N K.
        targets: y; class numbers, int64, N, or shares of the classes, float, N K.
        smoothing: ε, 0 … 1.
        weights: w, float, K.
    """
    if weights is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    if targets.ndim == 1:
        return (weights[targets] * F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")).mean()
    counted = targets * weights  # N K
    smoothed = counted * (1 - smoothing) + counted.sum(1, keepdim=True) * smoothing / logits.shape[1]
    return F.cross_entropy(logits, smoothed)


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return the mean over pictures and classes of −w t log σ(z) − (1 − t) log(1 − σ(z)), with t = y (1 − ε) + ε / 2.

    Args:
        logits: z, float, N K.
        targets: y, float, N K, 0 … 1.
        smoothing: ε, 0 … 1.
        weights: w, float, K; of pictures that are of the class. 1 by default.
    """
    smoothed = targets * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights)
