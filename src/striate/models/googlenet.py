"""GoogLeNet (Szegedy et al., "Going deeper with convolutions", 2014), with batch norm, without auxiliary heads.

Parameter names equal torchvision's, and so does a slip of torchvision's: the paper's 5×5 branch is 3×3, as
the published weights need it. Those expect pictures normalised with mean 0.5 and standard deviation 0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, is_small, require_side
from striate.models.initial import kaiming
from striate.models.norm import feature_norm


class Conv(nn.Module):
    """Convolution (same) → norm → ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=norm == "none")
        self.bn = feature_norm(norm, outputs, eps=1e-3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return N outputs h w."""
        result: Tensor = self.relu(self.bn(self.conv(x)))
        return result


class Inception(nn.Module):
    """Four branches side by side, their maps joined: 1×1, 3×3, "5×5" and pooling, with 1×1 to narrow them.

    Args:
        inputs: Maps of the input.
        one: Maps of the 1×1 branch.
        three: Maps before and after the 3×3 convolution.
        five: Maps before and after the "5×5" convolution.
        pool: Maps of the pooling branch.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self, inputs: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int, norm: str
    ) -> None:
        super().__init__()
        self.branch1 = Conv(inputs, one, 1, norm)
        self.branch2 = nn.Sequential(Conv(inputs, three[0], 1, norm), Conv(*three, 3, norm))
        self.branch3 = nn.Sequential(Conv(inputs, five[0], 1, norm), Conv(*five, 3, norm))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), Conv(inputs, pool, 1, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Return N one+three+five+pool h w."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(Classifier):
    """A stem of three convolutions, nine Inception modules in three stages, global average, a linear layer.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        small: A 3×3 convolution in place of the 7×7 with stride 2, and no pooling after it.
        dropout: Probability before the linear layer.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        small: bool,
        dropout: float = 0.2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = Conv(input_shape[0], 64, kernel, norm, stride)
        self.maxpool1 = nn.Identity() if small else nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = Conv(64, 64, 1, norm)
        self.conv3 = Conv(64, 192, 3, norm)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception3a = Inception(192, 64, (96, 128), (16, 32), 32, norm)
        self.inception3b = Inception(256, 128, (128, 192), (32, 96), 64, norm)
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = Inception(480, 192, (96, 208), (16, 48), 64, norm)
        self.inception4b = Inception(512, 160, (112, 224), (24, 64), 64, norm)
        self.inception4c = Inception(512, 128, (128, 256), (24, 64), 64, norm)
        self.inception4d = Inception(512, 112, (144, 288), (32, 64), 64, norm)
        self.inception4e = Inception(528, 256, (160, 320), (32, 128), 128, norm)
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.inception5a = Inception(832, 256, (160, 320), (32, 128), 128, norm)
        self.inception5b = Inception(832, 384, (192, 384), (48, 128), 128, norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, classes)
        kaiming(self, mode="fan_in")  # its modules narrow and widen, which fan_out would turn into growth

    def features(self, images: Tensor) -> Tensor:
        """Return N 1024 h w, sides an eighth (small stem) or a 32nd of the picture's, rounded up."""
        x = self.maxpool1(self.conv1(images))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.maxpool4(self.inception4e(self.inception4d(x)))
        features: Tensor = self.inception5b(self.inception5a(x))
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of the averaged feature maps."""
        logits: Tensor = self.fc(self.dropout(self.avgpool(features).flatten(1)))
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return the last layer of the stem and of each stage of Inception modules."""
        return {
            "stem": self.maxpool2,
            "inception3": self.inception3b,
            "inception4": self.inception4e,
            "inception5": self.inception5b,
        }

    def replace_head(self, classes: int) -> None:
        """Replace the linear layer."""
        self.fc = another_head(self.fc, classes)


@MODELS.register("googlenet")
def googlenet(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.2,
    norm: str = "batch",
) -> GoogLeNet:
    """Return GoogLeNet; 6,624,904 parameters with the paper's stem, colour and 1,000 classes.

    `small` None chooses the small stem where a side is 64 pixels or less.
    """
    if small is None:
        small = is_small(input_shape)
    require_side("googlenet", input_shape, 8 if small else 16)
    return GoogLeNet(input_shape, classes, small, dropout, norm)
