"""ResNet (He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015).

Parameter names equal torchvision's, so that its weight files load unchanged. Document 001's own block never
halves the feature maps and lacks the last ReLU; here the sides are halved in the first block of stages 2 to
4, and every block ends in a ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, is_small, require_side
from striate.models.initial import kaiming
from striate.models.norm import feature_norm


def _shortcut(inputs: int, outputs: int, stride: int, norm: str) -> nn.Sequential | None:
    """Return what matches the input of a block with its result (the paper's option B), or None where they match."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=norm == "none"),
        feature_norm(norm, outputs),
    )


class BasicBlock(nn.Module):
    """Two 3×3 convolutions whose result is added to the input: ReLU(F(x) + x)."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=bias)
        self.bn1 = feature_norm(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.bn2 = feature_norm(norm, width)
        self.downsample = _shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return N width h w."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        result: Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """A 1×1 convolution to fewer maps, a 3×3 one, and a 1×1 back to four times as many: ReLU(F(x) + x).

    The stride is in the 3×3 convolution, as in torchvision; the paper has it in the first 1×1.
    """

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        bias, outputs = norm == "none", width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=bias)
        self.bn1 = feature_norm(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=bias)
        self.bn2 = feature_norm(norm, width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=bias)
        self.bn3 = feature_norm(norm, outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return N 4·width h w."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += shortcut
        result: Tensor = self.relu(out)
        return result


class ResNet(Classifier):
    """Four stages of residual blocks, global average pooling and a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        block: The kind of block.
        blocks: Blocks in each stage; (2, 2, 2, 2) basic blocks are ResNet-18.
        small: One 3×3 convolution in place of the paper's 7×7 with stride 2 and pooling, which
            would throw most of a small picture away; None: where a side is 64 pixels or less.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: Sequence[int],
        small: bool | None = None,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if small is None:
            small = is_small(input_shape)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(input_shape[0], 64, kernel, stride, padding=kernel // 2, bias=norm == "none")
        self.bn1 = feature_norm(norm, 64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        stages, inputs = [], 64
        for width, count, stride in zip((64, 128, 256, 512), blocks, (1, 2, 2, 2), strict=True):
            stage = nn.Sequential(block(inputs, width, stride, norm))
            inputs = width * block.expansion
            stage.extend(block(inputs, width, 1, norm) for _ in range(count - 1))
            stages.append(stage)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        kaiming(self)

    def features(self, images: Tensor) -> Tensor:
        """Return N F h w, sides an eighth (small stem) or a 32nd of the picture's; F is 512 or 2,048."""
        x = self.relu(self.maxpool(self.bn1(self.conv1(images))))  # the maximum commutes with relu
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        features: Tensor = x
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of the averaged feature maps."""
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return the stem's convolution block end and the four stages."""
        return {
            "stem": self.relu,
            "layer1": self.layer1,
            "layer2": self.layer2,
            "layer3": self.layer3,
            "layer4": self.layer4,
        }

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.fc = another_head(self.fc, classes)


@MODELS.register("resnet18")
def resnet18(input_shape: tuple[int, int, int], classes: int, small: bool | None = None, norm: str = "batch") -> ResNet:
    """Return ResNet-18; 11,689,512 parameters with the paper's stem, colour and 1,000 classes."""
    require_side("resnet18", input_shape, 8)
    return ResNet(input_shape, classes, BasicBlock, (2, 2, 2, 2), small, norm)


@MODELS.register("resnet34")
def resnet34(input_shape: tuple[int, int, int], classes: int, small: bool | None = None, norm: str = "batch") -> ResNet:
    """Return ResNet-34; 21,797,672 parameters with the paper's stem, colour and 1,000 classes."""
    require_side("resnet34", input_shape, 8)
    return ResNet(input_shape, classes, BasicBlock, (3, 4, 6, 3), small, norm)


@MODELS.register("resnet50")
def resnet50(input_shape: tuple[int, int, int], classes: int, small: bool | None = None, norm: str = "batch") -> ResNet:
    """Return ResNet-50; 25,557,032 parameters with the paper's stem, colour and 1,000 classes."""
    require_side("resnet50", input_shape, 8)
    return ResNet(input_shape, classes, Bottleneck, (3, 4, 6, 3), small, norm)
