"""AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional networks", 2012).

In the form of "One weird trick for parallelizing convolutional neural networks" (Krizhevsky 2014), which has
neither two halves nor local response normalisation. Parameter names equal torchvision's.
"""

from __future__ import annotations

from torch import nn

from striate.models.contract import MODELS, ChainedFeatures, is_small, require_side
from striate.models.initial import kaiming, kaiming_hidden
from striate.models.norm import feature_norm


def _conv(inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=norm == "none"),
        feature_norm(norm, outputs),
        nn.ReLU(inplace=True),
    ]
    return [layer for layer in layers if not isinstance(layer, nn.Identity)]


class AlexNet(ChainedFeatures):
    """Five convolutions, three of them pooled 3×3 with stride 2, and three dense layers.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        small: For small pictures: the first convolution 5×5 with stride 1 in place of 11×11 with stride 4,
            feature maps averaged to one value each, 512 hidden units in place of 4,096.
        dropout: Probability before each hidden dense layer.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, small: bool, dropout: float = 0.5, norm: str = "none"
    ) -> None:
        kernel, stride, side, hidden = (5, 1, 1, 512) if small else (11, 4, 6, 4096)
        parts = [
            [*_conv(input_shape[0], 64, kernel, norm, stride, padding=2), nn.MaxPool2d(3, 2)],
            [*_conv(64, 192, 5, norm, padding=2), nn.MaxPool2d(3, 2)],
            _conv(192, 384, 3, norm),
            _conv(384, 256, 3, norm),
            [*_conv(256, 256, 3, norm), nn.MaxPool2d(3, 2)],
        ]
        chain = nn.Sequential(*(layer for part in parts for layer in part))
        classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * side * side, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, classes),
        )
        super().__init__(chain, side, classifier)
        self.ends = [sum(map(len, parts[:number])) - 1 for number in range(1, 6)]
        kaiming(self)
        kaiming_hidden(self.classifier)

    def stages(self) -> dict[str, nn.Module]:
        """Return the end of each convolution's part: its pooling or its ReLU."""
        return {f"conv{number}": self.features[end] for number, end in enumerate(self.ends, 1)}


@MODELS.register("alexnet")
def alexnet(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.5,
    norm: str = "none",
) -> AlexNet:
    """Return AlexNet; 61,100,840 parameters with its own form, colour and 1,000 classes.

    `small` None chooses the form for small pictures where a side is 64 pixels or less.
    """
    if small is None:
        small = is_small(input_shape)
    require_side("alexnet", input_shape, 15 if small else 63)
    return AlexNet(input_shape, classes, small, dropout, norm)
