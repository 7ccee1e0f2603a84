"""Two classes by one logistic output."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from striate.models.contract import Classifier


class OneLogit(Classifier):
    """A network of one output z, read as the two logits (0, z).

    softmax(0, z) = (1 − σ(z), σ(z)), so that cross-entropy on the two is binary cross-entropy on z, and
    everything else need not know how the two classes were told apart.

    Args:
        net: A network built for one class.
    """

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Give the network what it needs of the training pictures."""
        self.net.prepare(batches)

    def features(self, images: Tensor) -> Tensor:
        """Return the network's features, N F h w."""
        return self.net.features(images)

    def head(self, features: Tensor) -> Tensor:
        """Return (0, z), N 2."""
        return F.pad(self.net.head(features), (1, 0))

    def stages(self) -> dict[str, nn.Module]:
        """Return the network's stages."""
        return self.net.stages()

    def replace_head(self, classes: int) -> None:
        """Replace the output by a fresh one; of other than two classes there is no such network.

        Raises:
            ValueError: `classes` is not 2.
        """
        if classes != 2:
            raise ValueError(f"one logistic output tells two classes apart, not {classes}")
        self.net.replace_head(1)
