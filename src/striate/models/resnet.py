"""ResNet (He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015).

Parameter names equal torchvision's, so that its weight files load unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, require_side

SMALL_PICTURE = 64


class BasicBlock(nn.Module):
    """Two 3×3 convolutions whose result is added to the input: ReLU(F(x) + x).

    Where the sides are halved or the width changes, the input is matched by a 1×1 convolution and batch
    norm (the paper's option B).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return N outputs h w."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        result: Tensor = self.relu(out)
        return result


class ResNet(Classifier):
    """Four stages of residual blocks, global average pooling and a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        blocks: Blocks in each stage; (2, 2, 2, 2) is ResNet-18.
        small_stem: One 3×3 convolution in place of the paper's 7×7 with stride 2 and pooling, which
            would throw most of a small picture away; None: where a side is 64 pixels or less.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        blocks: Sequence[int] = (2, 2, 2, 2),
        small_stem: bool | None = None,
    ) -> None:
        super().__init__()
        require_side("resnet18", input_shape, 8)
        if small_stem is None:
            small_stem = min(input_shape[1:]) <= SMALL_PICTURE
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = nn.Conv2d(input_shape[0], 64, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = self._stage(64, 64, blocks[0], stride=1)
        self.layer2 = self._stage(64, 128, blocks[1], stride=2)
        self.layer3 = self._stage(128, 256, blocks[2], stride=2)
        self.layer4 = self._stage(256, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            BasicBlock(inputs, outputs, stride), *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
        )

    def features(self, images: Tensor) -> Tensor:
        """Return N 512 h w, sides an eighth (small stem) or a 32nd of the picture's."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
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
            "stem": self.maxpool,
            "layer1": self.layer1,
            "layer2": self.layer2,
            "layer3": self.layer3,
            "layer4": self.layer4,
        }

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.fc = another_head(self.fc, classes)


@MODELS.register("resnet18")
def resnet18(input_shape: tuple[int, int, int], classes: int, small_stem: bool | None = None) -> ResNet:
    """Return ResNet-18; 11,689,512 parameters with the paper's stem, colour and 1,000 classes."""
    return ResNet(input_shape, classes, (2, 2, 2, 2), small_stem)
