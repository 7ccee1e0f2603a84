"""The default network for small pictures: few layers, pooled early, so that little but convolution is left.

Every stage is convolution → 2×2 max pooling → batch norm → ReLU. Pooling first leaves a quarter of the
pixels for the two memory-bound steps, which cost more than the convolution itself on a processor with
fast bf16 arithmetic; max pooling and ReLU commute, so only batch norm sees other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, require_side
from striate.models.norm import feature_norm


class PooledStage(nn.Sequential):
    """convolution 3×3 (same) → max pool 2×2 → norm → ReLU: halves the sides."""

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
        self.pool = nn.MaxPool2d(2)
        self.norm = feature_norm(norm, outputs)
        self.activation = nn.ReLU(inplace=True)


class FastNet(Classifier):
    """Pooled stages, the last feature map's maximum and a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        widths: Feature maps of each stage.
        norm: What normalises them (see `norm`).
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        widths: Sequence[int] = (16, 64, 128),
        norm: str = "batch",
    ) -> None:
        super().__init__()
        require_side("fast", input_shape, 2 ** len(widths))  # every stage halves the sides
        channels = [input_shape[0], *widths]
        self.body = nn.Sequential(*(PooledStage(inputs, outputs, norm) for inputs, outputs in pairwise(channels)))
        self.classifier = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """Return N F h w, the sides halved by every stage."""
        features: Tensor = self.body(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of each feature map's maximum."""
        logits: Tensor = self.classifier(features.amax((2, 3)))
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return the pooled stages."""
        return {f"stage{number}": stage for number, stage in enumerate(self.body, 1)}

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.classifier = another_head(self.classifier, classes)


MODELS.register("fast")(FastNet)
