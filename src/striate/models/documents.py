"""The networks of the documents: small convolutional stacks with dense layers on the flattened features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from striate.models.contract import MODELS, Classifier, another_head, require_side


class DocumentNet(Classifier):
    """Stages of convolution and pooling, then dense layers on the flattened feature maps.

    Args:
        input_shape: (C, H, W) of the pictures.
        stages: The convolutional stages by name.
        dense: From the flattened features to the last hidden layer; it begins with nn.Flatten.
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


def flattened_size(stages: dict[str, nn.Module], input_shape: tuple[int, int, int]) -> int:
    """Return how many numbers the stages make of one picture, by sending an empty one through."""
    with torch.no_grad():
        maps: Tensor = nn.Sequential(*stages.values())(torch.zeros(1, *input_shape))
    return maps.numel()


def conv_relu_pool(inputs: int, outputs: int, kernel: int, padding: int) -> nn.Sequential:
    """Return convolution → ReLU → 2×2 max pooling."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(2))


@MODELS.register("mnist-cnn")
def mnist_cnn(input_shape: tuple[int, int, int], classes: int, dropout: float = 0.5) -> DocumentNet:
    """Return document 000's digit network: two 5×5 convolutions of 32 and 64 maps, 1,024 hidden units."""
    require_side("mnist-cnn", input_shape, 4)
    stages: dict[str, nn.Module] = {
        "conv1": conv_relu_pool(input_shape[0], 32, kernel=5, padding=2),
        "conv2": conv_relu_pool(32, 64, kernel=5, padding=2),
    }
    size = flattened_size(stages, input_shape)
    return DocumentNet(
        stages,
        nn.Sequential(nn.Flatten(), nn.Linear(size, 1024), nn.ReLU(), nn.Dropout(dropout)),
        1024,
        classes,
    )


@MODELS.register("fashion-cnn")
def fashion_cnn(input_shape: tuple[int, int, int], classes: int) -> DocumentNet:
    """Return document 003's network: three valid 3×3 convolutions of 32, 64 and 128 maps, 64 hidden units.

    167,114 parameters on 28×28 grey pictures of ten classes. The document's softmax before the
    cross-entropy is left out: it would be applied twice.
    """
    require_side("fashion-cnn", input_shape, 18)
    stages: dict[str, nn.Module] = {
        "conv1": conv_relu_pool(input_shape[0], 32, kernel=3, padding=0),
        "conv2": conv_relu_pool(32, 64, kernel=3, padding=0),
        "conv3": nn.Sequential(nn.Conv2d(64, 128, 3), nn.ReLU()),
    }
    size = flattened_size(stages, input_shape)
    return DocumentNet(stages, nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU()), 64, classes)
