"""The networks of the documents: small convolutional stacks with dense layers on the flattened features.

Each takes `norm` (see `norm`): a normalisation after every convolution and hidden dense layer, before
the activation. None of the documents has one by default.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, require_side
from striate.models.norm import dense_norm, feature_norm

Shape = tuple[int, int, int]


class DocumentNet(Classifier):
    """Stages of convolution and pooling, then dense layers on the feature maps.

    Args:
        stages: The convolutional stages by name.
        dense: From the feature maps to the last hidden layer.
        hidden: Width of the last hidden layer.
        classes: Number of logits.
    """

    def __init__(self, stages: dict[str, nn.Module], dense: nn.Sequential, hidden: int, classes: int) -> None:
        super().__init__()
        self.convolutional = nn.Sequential()
        for name, stage in stages.items():
            self.convolutional.add_module(name, stage)
        self.dense = dense
        self.classifier = nn.Linear(hidden, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the last stage's feature maps, N F h w."""
        features: Tensor = self.convolutional(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of feature maps N F h w."""
        logits: Tensor = self.classifier(self.dense(features))
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return the convolutional stages by name."""
        return dict(self.convolutional.named_children())

    def replace_head(self, classes: int) -> None:
        """Replace the last dense layer."""
        self.classifier = another_head(self.classifier, classes)


def flattened_size(stages: dict[str, nn.Module], input_shape: Shape) -> int:
    """Return how many numbers the stages make of one picture, by sending an empty one through."""
    stack = nn.Sequential(*stages.values()).eval()
    with torch.no_grad():
        maps: Tensor = stack(torch.zeros(1, *input_shape))
    stack.train()
    return maps.numel()


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    padding: int,
    *after: nn.Module,
    norm: str = "none",
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Return convolution → norm → activation → what comes `after`.

    A pool that comes first stands before the activation: the maximum commutes with a function that never falls, and
    four times fewer values go through it.
    """
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=norm == "none")
    pool = after[:1] if after and isinstance(after[0], nn.MaxPool2d) else ()
    return chain(convolution, feature_norm(norm, outputs), *pool, activation(), *after[len(pool) :])


def fully_connected(
    inputs: int, outputs: int, norm: str, activation: Callable[[], nn.Module] = nn.ReLU
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a hidden dense layer, its norm and its activation."""
    return nn.Linear(inputs, outputs, bias=norm == "none"), dense_norm(norm, outputs), activation()


def chain(*layers: nn.Module) -> nn.Sequential:
    """Return the layers in sequence, without those that do nothing."""
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Identity)))


def _digit_net(
    name: str, input_shape: Shape, classes: int, dropout: float, norm: str, activation: Callable[[], nn.Module]
) -> DocumentNet:
    require_side(name, input_shape, 4)
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 32, 5, 2, nn.MaxPool2d(2), norm=norm),
        "conv2": conv(32, 64, 5, 2, nn.MaxPool2d(2), norm=norm),
    }
    hidden = fully_connected(flattened_size(stages, input_shape), 1024, norm, activation)
    return DocumentNet(stages, chain(nn.Flatten(), *hidden, nn.Dropout(dropout)), 1024, classes)


@MODELS.register("mnist-cnn")
def mnist_cnn(input_shape: Shape, classes: int, dropout: float = 0.5, norm: str = "none") -> DocumentNet:
    """Return document 000's digit network: two 5×5 convolutions of 32 and 64 maps, 1,024 hidden units."""
    return _digit_net("mnist-cnn", input_shape, classes, dropout, norm, nn.ReLU)


@MODELS.register("mnist-convnet")
def mnist_convnet(input_shape: Shape, classes: int, dropout: float = 0.5, norm: str = "none") -> DocumentNet:
    """Return document 001's digit network: mnist-cnn without an activation between the two dense layers."""
    return _digit_net("mnist-convnet", input_shape, classes, dropout, norm, nn.Identity)


@MODELS.register("smile-cnn")
def smile_cnn(input_shape: Shape, classes: int, dropout: float = 0.5, norm: str = "none") -> DocumentNet:
    """Return document 000's smile detector: 3×3 convolutions of 32, 64, 128 and 256 maps, averaged.

    The document has one logit and a sigmoid; two logits and a softmax are the same model of two classes.
    """
    require_side("smile-cnn", input_shape, 8)
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 32, 3, 1, nn.MaxPool2d(2), nn.Dropout(dropout), norm=norm),
        "conv2": conv(32, 64, 3, 1, nn.MaxPool2d(2), nn.Dropout(dropout), norm=norm),
        "conv3": conv(64, 128, 3, 1, nn.MaxPool2d(2), norm=norm),
        "conv4": conv(128, 256, 3, 1, norm=norm),
    }
    return DocumentNet(stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 256, classes)


@MODELS.register("cifar10-plain")
def cifar10_plain(input_shape: Shape, classes: int, norm: str = "none") -> DocumentNet:
    """Return document 001's CIFAR network, with the widths of the TensorFlow tutorial that it follows.

    Two 5×5 convolutions of 64 maps, each pooled 3×3 with stride 2, then 384 and 192 hidden units: 1,068,298
    parameters on 24×24 colour pictures of ten classes. The document's own code takes one channel and 9,216
    features, which fits MNIST; norm="batch" is its second network.
    """
    require_side("cifar10-plain", input_shape, 4)
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 64, 5, 2, nn.MaxPool2d(3, 2, padding=1), norm=norm),
        "conv2": conv(64, 64, 5, 2, nn.MaxPool2d(3, 2, padding=1), norm=norm),
    }
    first = fully_connected(flattened_size(stages, input_shape), 384, norm)
    return DocumentNet(stages, chain(nn.Flatten(), *first, *fully_connected(384, 192, norm)), 192, classes)


@MODELS.register("cifar10-cnn")
def cifar10_cnn(
    input_shape: Shape, classes: int, conv_dropout: float = 0.3, dropout: float = 0.5, norm: str = "none"
) -> DocumentNet:
    """Return document 002's CIFAR network: two 3×3 convolutions of 32 maps, 512 hidden units."""
    require_side("cifar10-cnn", input_shape, 2)
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 32, 3, 1, nn.Dropout(conv_dropout), norm=norm),
        "conv2": conv(32, 32, 3, 1, nn.MaxPool2d(2), norm=norm),
    }
    hidden = fully_connected(flattened_size(stages, input_shape), 512, norm)
    return DocumentNet(stages, chain(nn.Flatten(), *hidden, nn.Dropout(dropout)), 512, classes)


@MODELS.register("fashion-cnn")
def fashion_cnn(input_shape: Shape, classes: int, norm: str = "none") -> DocumentNet:
    """Return document 003's network: three valid 3×3 convolutions of 32, 64 and 128 maps, 64 hidden units.

    167,114 parameters on 28×28 grey pictures of ten classes. The document's softmax before the
    cross-entropy is left out: it would be applied twice.
    """
    require_side("fashion-cnn", input_shape, 18)
    stages: dict[str, nn.Module] = {
        "conv1": conv(input_shape[0], 32, 3, 0, nn.MaxPool2d(2), norm=norm),
        "conv2": conv(32, 64, 3, 0, nn.MaxPool2d(2), norm=norm),
        "conv3": conv(64, 128, 3, 0, norm=norm),
    }
    hidden = fully_connected(flattened_size(stages, input_shape), 64, norm)
    return DocumentNet(stages, chain(nn.Flatten(), *hidden), 64, classes)


def _bird_net(
    name: str, input_shape: Shape, classes: int, widths: tuple[int, int], dropout: float, norm: str
) -> DocumentNet:
    require_side(name, input_shape, 4)
    stages: dict[str, nn.Module] = {}
    for number, (inputs, outputs) in enumerate([(input_shape[0], widths[0]), widths], 1):
        after = (nn.MaxPool2d(2), nn.Dropout2d(dropout) if dropout else nn.Identity())
        stages[f"conv{number}"] = conv(inputs, outputs, 3, 1, *after, norm=norm, activation=nn.Tanh)
    hidden = fully_connected(flattened_size(stages, input_shape), 32, norm, nn.Tanh)
    return DocumentNet(stages, chain(nn.Flatten(), *hidden), 32, classes)


@MODELS.register("bird-plane")
def bird_plane(input_shape: Shape, classes: int, dropout: float = 0.0, norm: str = "none") -> DocumentNet:
    """Return document 004's network: 3×3 convolutions of 16 and 8 maps, tanh, 32 hidden units.

    18,090 parameters on 32×32 colour pictures of two classes. `dropout` drops whole maps after each pool.
    """
    return _bird_net("bird-plane", input_shape, classes, (16, 8), dropout, norm)


@MODELS.register("bird-plane-wide")
def bird_plane_wide(input_shape: Shape, classes: int, dropout: float = 0.0, norm: str = "none") -> DocumentNet:
    """Return bird-plane with 32 and 16 maps: 38,386 parameters.

    The document's wide networks skip their second convolution and use one dropout layer twice; here the
    second convolution is used, and each pool has a dropout of its own.
    """
    return _bird_net("bird-plane-wide", input_shape, classes, (32, 16), dropout, norm)
