"""EfficientNet-Lite0 (Tan and Le 2019; the Lite form without squeezing, with ReLU6, 2020).

Parameter names equal those of timm's tf_efficientnet_lite0, whose import takes seconds that a short run does not have.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.spec import MAX_SIDE
from striate.models.contract import MODELS, Classifier, another_head, require_side
from striate.models.initial import kaiming
from striate.models.norm import feature_norm

# the paper's table 1: expansion, kernel, stride of the first block, maps, blocks
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
STEM, LAST = 32, 1280
EPS = 1e-3  # TensorFlow's


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding: ⌈n / stride⌉ outputs; an odd pixel is added behind."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, bias: bool) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return N outputs ⌈h/stride⌉ ⌈w/stride⌉."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride == 1:
            return super().forward(input)
        high, wide = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[2:])
        return super().forward(F.pad(input, (wide // 2, wide - wide // 2, high // 2, high - high // 2)))


def _conv(inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return SameConv2d(inputs, outputs, kernel, stride, groups, bias=norm == "none")


class Separable(nn.Module):
    """A convolution within each map, then 1×1 to other maps without activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str) -> None:
        super().__init__()
        self.conv_dw = _conv(inputs, inputs, kernel, norm, groups=inputs)
        self.bn1 = feature_norm(norm, inputs, EPS)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_pw = _conv(inputs, outputs, 1, norm)
        self.bn2 = feature_norm(norm, outputs, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return N outputs h w."""
        inner: Tensor = self.act1(self.bn1(self.conv_dw(x)))
        out: Tensor = self.bn2(self.conv_pw(inner))
        return out


class InvertedResidual(nn.Module):
    """1×1 to more maps, a convolution within each, 1×1 to few maps without activation; added to an equal input."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, norm: str) -> None:
        super().__init__()
        self.added = stride == 1 and inputs == outputs
        hidden = inputs * expansion
        self.conv_pw = _conv(inputs, hidden, 1, norm)
        self.bn1 = feature_norm(norm, hidden, EPS)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_dw = _conv(hidden, hidden, kernel, norm, stride, groups=hidden)
        self.bn2 = feature_norm(norm, hidden, EPS)
        self.act2 = nn.ReLU6(inplace=True)
        self.conv_pwl = _conv(hidden, outputs, 1, norm)
        self.bn3 = feature_norm(norm, outputs, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return N outputs h w."""
        inner = self.act2(self.bn2(self.conv_dw(self.act1(self.bn1(self.conv_pw(x))))))
        out: Tensor = self.bn3(self.conv_pwl(inner))
        return x + out if self.added else out


class EfficientNetLite0(Classifier):
    """A strided convolution, 16 blocks in seven stages, a 1×1 convolution to 1,280 maps, their average, a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        dropout: Probability before the linear layer.
        norm: What follows every convolution (see `norm`).
        side: Pixels that the shorter side of the pictures is brought to within the network, bilinearly; None: as it
            is. Its weights were found at 224, and small pictures are told apart better when they are enlarged.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        dropout: float = 0.2,
        norm: str = "batch",
        side: int | None = None,
    ) -> None:
        super().__init__()
        require_side("efficientnet-lite0", input_shape, 8)
        if side is not None and not 8 <= side <= MAX_SIDE:
            raise SettingsError(
                f"the side of the pictures within the network is 8 to {MAX_SIDE} pixels", where=str(side)
            )
        self.scale = 1.0 if side is None else side / min(input_shape[1:])
        self.conv_stem = _conv(input_shape[0], STEM, 3, norm, stride=2)
        self.bn1 = feature_norm(norm, STEM, EPS)
        self.act1 = nn.ReLU6(inplace=True)
        stages = []
        for inputs, (expansion, kernel, stride, maps, blocks) in zip(
            [STEM, *(stage[3] for stage in STAGES)], STAGES, strict=False
        ):
            widths = pairwise([inputs, *[maps] * blocks])
            stages.append(
                nn.Sequential(
                    *(
                        Separable(before, after, kernel, norm)
                        if expansion == 1
                        else InvertedResidual(before, after, kernel, stride if number == 0 else 1, expansion, norm)
                        for number, (before, after) in enumerate(widths)
                    )
                )
            )
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _conv(STAGES[-1][3], LAST, 1, norm)
        self.bn2 = feature_norm(norm, LAST, EPS)
        self.act2 = nn.ReLU6(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(LAST, classes)
        kaiming(self)

    def features(self, images: Tensor) -> Tensor:
        """Return N 1280 ⌈H/32⌉ ⌈W/32⌉."""
        if self.scale != 1:
            size = [round(pixels * self.scale) for pixels in images.shape[2:]]
            images = F.interpolate(images, size=size, mode="bilinear", antialias=self.scale < 1)
        maps = self.blocks(self.act1(self.bn1(self.conv_stem(images))))
        features: Tensor = self.act2(self.bn2(self.conv_head(maps)))
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of each feature map's mean."""
        logits: Tensor = self.classifier(self.dropout(features.mean((2, 3))))
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return the first convolution, the rows of the paper's table, and the last convolution."""
        rows = {f"stage{number}": stage for number, stage in enumerate(self.blocks, 1)}
        return {"stem": self.act1, **rows, "last": self.act2}

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.classifier = another_head(self.classifier, classes)

    def extra_repr(self) -> str:
        """Return what no weight shows."""
        return f"scale={self.scale:g}"


@MODELS.register("efficientnet-lite0")
def efficientnet_lite0(
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.2,
    norm: str = "batch",
    side: int | None = None,
) -> EfficientNetLite0:
    """Return EfficientNet-Lite0; 4,652,008 parameters with colour and 1,000 classes."""
    return EfficientNetLite0(input_shape, classes, dropout, norm, side)
