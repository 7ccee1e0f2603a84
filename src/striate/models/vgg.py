"""VGG (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014).

Parameter names equal torchvision's; with norm="batch", those of its `vgg16_bn` and its kin. Convolutions keep
their bias beside a norm for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from striate.models.contract import MODELS, ChainedFeatures, is_small, require_side
from striate.models.initial import kaiming, kaiming_hidden
from striate.models.norm import feature_norm

WIDTHS = (64, 128, 256, 512, 512)


class VGG(ChainedFeatures):
    """Five stages of 3×3 convolutions, each ending in 2×2 max pooling, and three dense layers.

    Args:
        input_shape: (C, H, W) of the pictures.
        classes: Number of logits.
        convolutions: Convolutions in each stage; (2, 2, 3, 3, 3) is VGG-16.
        small: For small pictures: no pooling after the last stage, feature maps averaged to one value each,
            512 hidden units in place of 4,096.
        dropout: Probability after each hidden dense layer.
        norm: What follows every convolution (see `norm`).
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        convolutions: Sequence[int],
        small: bool,
        dropout: float = 0.5,
        norm: str = "none",
    ) -> None:
        side, hidden = (1, 512) if small else (7, 4096)
        layers: list[nn.Module] = []
        ends, inputs = [], input_shape[0]
        for width, count in zip(WIDTHS, convolutions, strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(inputs, width, 3, padding=1))
                if norm != "none":
                    layers.append(feature_norm(norm, width))
                layers.append(nn.ReLU(inplace=True))
                inputs = width
            layers.append(nn.MaxPool2d(2))
            ends.append(len(layers) - 1)
        if small:
            layers[-1] = nn.Identity()
        chain = nn.Sequential(*layers)
        classifier = nn.Sequential(
            nn.Linear(512 * side * side, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        super().__init__(chain, side, classifier)
        self.ends = ends
        kaiming(self)
        kaiming_hidden(self.classifier)

    def stages(self) -> dict[str, nn.Module]:
        """Return the end of each stage: its pooling."""
        return {f"stage{number}": self.features[end] for number, end in enumerate(self.ends, 1)}


def _vgg(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    convolutions: Sequence[int],
    small: bool | None,
    dropout: float,
    norm: str,
) -> VGG:
    if small is None:
        small = is_small(input_shape)
    require_side(name, input_shape, 16 if small else 32)
    return VGG(input_shape, classes, convolutions, small, dropout, norm)


@MODELS.register("vgg11")
def vgg11(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.5,
    norm: str = "none",
) -> VGG:
    """Return VGG-11 (configuration A); 132,863,336 parameters with its own form, colour and 1,000 classes.

    `small` None chooses the form for small pictures where a side is 64 pixels or less.
    """
    return _vgg("vgg11", input_shape, classes, (1, 1, 2, 2, 2), small, dropout, norm)


@MODELS.register("vgg16")
def vgg16(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.5,
    norm: str = "none",
) -> VGG:
    """Return VGG-16 (configuration D); 138,357,544 parameters. Options as in `vgg11`."""
    return _vgg("vgg16", input_shape, classes, (2, 2, 3, 3, 3), small, dropout, norm)


@MODELS.register("vgg19")
def vgg19(
    input_shape: tuple[int, int, int],
    classes: int,
    small: bool | None = None,
    dropout: float = 0.5,
    norm: str = "none",
) -> VGG:
    """Return VGG-19 (configuration E); 143,667,240 parameters. Options as in `vgg11`."""
    return _vgg("vgg19", input_shape, classes, (2, 2, 4, 4, 4), small, dropout, norm)
