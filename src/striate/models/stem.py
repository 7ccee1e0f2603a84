"""A first layer that sees patches of 2×2 pixels, learned or whitening.

Neighbouring pixels are nearly equal, so that a network's first filters spend their training on telling the small
differences from the large sums. A whitening layer does that from the start: its filters are the eigenvectors of
the patches' covariance over the square roots of their eigenvalues, with which every output has variance 1 and no
two are correlated; with each filter comes its negative, since a ReLU keeps only one side (Page, "How to train your
ResNet 8: bag of tricks", 2019; Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SIDE = 2
EPSILON = 5e-4  # of the mean eigenvalue: limits how much rare differences are enlarged


class PatchStem(nn.Sequential):
    """convolution 2×2 (valid) → activation, from C to 8·C maps: one and its negative per number in a patch.

    Args:
        channels: C of the pictures.
        whitened: Filters that `whiten` sets and training leaves alone; the bias is trained.
        activation: What follows.
    """

    def __init__(self, channels: int, whitened: bool, activation: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels * SIDE * SIDE, SIDE)
        self.conv.weight.requires_grad_(not whitened)
        self.activation = activation

    @torch.no_grad()
    def whiten(self, batches: Iterable[Tensor]) -> None:
        """Take the filters from network inputs N C H W, and biases with which the outputs' mean is zero."""
        mean, covariance = patch_moments(batches)
        filters = whitening_filters(covariance)
        filters = torch.cat([filters, -filters])
        self.conv.weight.copy_(filters.reshape(self.conv.weight.shape))
        assert self.conv.bias is not None
        self.conv.bias.copy_(-filters @ mean)


def patch_moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of all 2×2 patches, float64 D and D D with D = 4 C in the order C, row, column.

    Args:
        batches: Pictures, N C H W.
    """
    count = 0
    total = products = torch.zeros((), dtype=torch.float64)
    for images in batches:
        patches = images.cpu().double().unfold(2, SIDE, 1).unfold(3, SIDE, 1)  # N C h w 2 2
        patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)  # n D
        count += len(patches)
        total = total + patches.sum(0)
        products = products + patches.mT @ patches
    mean = total / count
    return mean, products / count - torch.outer(mean, mean)


def whitening_filters(covariance: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Return rows uₖ / √(λₖ + ε λ̄) of the eigenvectors uₖ and eigenvalues λₖ of a covariance, smallest first, D D.

    Each row's largest value is positive: eigenvectors have no sign of their own.

    Args:
        covariance: Float64, D D; it may be singular, and zero gives finite filters.
        epsilon: ε, a share of the mean eigenvalue λ̄.
    """
    values, vectors = torch.linalg.eigh(covariance)
    rows = vectors.mT
    rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    smallest = (epsilon * values.mean()).clamp_min(torch.finfo(torch.float32).eps)
    filters: Tensor = rows / (values.clamp_min(0) + smallest).sqrt()[:, None]
    return filters
