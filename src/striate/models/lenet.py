"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998).

In its modern form: plain tanh, plain average pooling, every map of the second convolution connected to every
map before it, and a linear last layer in place of radial basis functions.
"""

from __future__ import annotations

from torch import nn

from striate.models.contract import MODELS, require_side
from striate.models.documents import DocumentNet, Shape, chain, conv, flattened_size, fully_connected

PAPER_SIDE = 32


@MODELS.register("lenet5")
def lenet5(input_shape: Shape, classes: int, norm: str = "none") -> DocumentNet:
    """Return LeNet-5: 61,706 parameters on 32×32 grey pictures of ten classes.

    Smaller pictures get two pixels of padding on every side, as the paper pads MNIST's 28×28 to 32×32.
    """
    require_side("lenet5", input_shape, 12)
    padding = 2 if min(input_shape[1:]) < PAPER_SIDE else 0
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 6, 5, padding, nn.AvgPool2d(2), norm=norm, activation=nn.Tanh),
        "conv2": conv(6, 16, 5, 0, nn.AvgPool2d(2), norm=norm, activation=nn.Tanh),
    }
    size = flattened_size(stages, input_shape)
    layers = (*fully_connected(size, 120, norm, nn.Tanh), *fully_connected(120, 84, norm, nn.Tanh))
    return DocumentNet(stages, chain(nn.Flatten(), *layers), 84, classes)
