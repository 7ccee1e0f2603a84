"""The default network for small pictures: few layers, pooled early, so that little but convolution is left.

Every stage is convolution → 2×2 max pooling → batch norm → ReLU. Pooling first leaves a quarter of the
pixels for the two memory-bound steps, which cost more than the convolution itself on a processor with
fast bf16 arithmetic; max pooling and ReLU commute, so only batch norm sees other numbers.

Its options are the parts of the networks with which CIFAR-10 is learned in seconds (Jordan, "94% on CIFAR-10 in
3.29 seconds on a single GPU", arXiv 2404.00498): with stem='whitened', depth=2, norm='batch-shift',
activation='gelu', identity=True and a logit_scale of 1/9 it is one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, require_side
from striate.models.initial import copy_input
from striate.models.norm import feature_norm
from striate.models.stem import PatchStem

Activation = Literal["relu", "gelu"]


class PooledStage(nn.Sequential):
    """convolution 3×3 (same) → max pool 2×2 → norm → activation, the sides halved; further convolutions keep them."""

    def __init__(self, inputs: int, outputs: int, norm: str, depth: int = 1, activation: Activation = "relu") -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
        self.pool = nn.MaxPool2d(2)
        self.norm = feature_norm(norm, outputs)
        self.activation = _activation(activation)
        for number in range(2, depth + 1):
            self.add_module(f"conv{number}", nn.Conv2d(outputs, outputs, 3, padding=1, bias=norm == "none"))
            self.add_module(f"norm{number}", feature_norm(norm, outputs))
            self.add_module(f"activation{number}", _activation(activation))


class FastNet(Classifier):
    """Pooled stages, the last feature map's maximum and a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        widths: Feature maps of each stage.
        norm: What normalises them (see `norm`).
        stem: A first layer that sees 2×2 pixels (see `stem`), or 'none'.
        depth: Convolutions in each stage.
        activation: What follows each norm.
        identity: Begin with convolutions that copy their input as far as they have maps for it.
        logit_scale: Factor of the logits: below 1 the network begins less certain.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        widths: Sequence[int] = (16, 64, 128),
        norm: str = "batch",
        stem: Literal["none", "learned", "whitened"] = "none",
        depth: int = 1,
        activation: Activation = "relu",
        identity: bool = False,
        logit_scale: float = 1.0,
    ) -> None:
        super().__init__()
        has_stem = {"none": False, "learned": True, "whitened": True}[stem]
        name = f"fast with stem {stem}" if has_stem else "fast"
        require_side(name, input_shape, 2 ** len(widths) + has_stem)  # every stage halves the sides
        inputs = input_shape[0]
        self.stem: PatchStem | None = None
        if has_stem:
            self.stem = PatchStem(inputs, stem == "whitened", _activation(activation))
            inputs = self.stem.conv.out_channels
        self.body = nn.Sequential(
            *(PooledStage(before, after, norm, depth, activation) for before, after in pairwise([inputs, *widths]))
        )
        self.classifier = nn.Linear(widths[-1], classes)
        self.logit_scale = float(logit_scale)
        if identity:
            copy_input(self.body)

    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Take the filters of a whitening stem from training pictures."""
        if self.stem is not None and not self.stem.conv.weight.requires_grad:
            self.stem.whiten(batches)

    def features(self, images: Tensor) -> Tensor:
        """Return N F h w, the sides halved by every stage."""
        features: Tensor = self.body(images if self.stem is None else self.stem(images))
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of each feature map's maximum."""
        logits: Tensor = self.classifier(features.amax((2, 3)))
        return logits if self.logit_scale == 1 else logits * self.logit_scale

    def stages(self) -> dict[str, nn.Module]:
        """Return the stem and the pooled stages."""
        first = {} if self.stem is None else {"stem": self.stem}
        return {**first, **{f"stage{number}": stage for number, stage in enumerate(self.body, 1)}}

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.classifier = another_head(self.classifier, classes)


def _activation(name: Activation) -> nn.Module:
    return {"relu": nn.ReLU(inplace=True), "gelu": nn.GELU()}[name]


MODELS.register("fast")(FastNet)
