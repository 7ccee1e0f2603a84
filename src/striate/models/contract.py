"""The Classifier contract, and the registry of networks that keep it.

Everything that looks into a network, transfers it or exports it needs no more than this contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.registry import Registry


class Classifier(nn.Module, ABC):
    """A network in two parts: features of a picture, and a head that turns them into one logit per class."""

    weights_prefix: ClassVar[str] = ""  # what stands before another library's names of the same weights

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the last feature maps, N F h w, of normalised pictures, N C H W."""

    @abstractmethod
    def head(self, features: Tensor) -> Tensor:
        """Return the logits, N K, of feature maps N F h w."""

    @abstractmethod
    def stages(self) -> dict[str, nn.Module]:
        """Return the modules whose outputs are worth looking at, by name, from the input on.

        Each gives N F h w; the last one's output is what `features` returns.
        """

    @abstractmethod
    def replace_head(self, classes: int) -> None:
        """Replace the last layer by a fresh one for another number of classes."""

    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Take from training pictures what initial weights need of them; most networks need nothing.

        Called once between building and training. It must be a pure function of the pictures, and draw nothing.

        Args:
            batches: Network inputs, N C H W, made when they are asked for.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, N K, of normalised pictures, N C H W."""
        return self.head(self.features(images))


class ChainedFeatures(Classifier):
    """One chain of layers, an average to a fixed size and a classifier, under torchvision's names for them.

    The chain is the contract's `features`: called with pictures, it returns their feature maps.

    Args:
        chain: From pictures to the last feature maps.
        side: Side that these are averaged to before the classifier.
        classifier: From the flattened maps to the logits; a linear layer is its last.
    """

    def __init__(self, chain: nn.Sequential, side: int, classifier: nn.Sequential) -> None:
        super().__init__()
        self._modules["features"] = chain  # an attribute would be hidden by the contract's method
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = classifier

    @property
    def features(self) -> nn.Sequential:  # a callable of the same signature
        """The chain of layers."""
        chain = self._modules["features"]
        assert isinstance(chain, nn.Sequential)
        return chain

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of feature maps N F h w."""
        logits: Tensor = self.classifier(self.avgpool(features).flatten(1))
        return logits

    def replace_head(self, classes: int) -> None:
        """Replace the last linear layer."""
        last = self.classifier[-1]
        assert isinstance(last, nn.Linear)
        self.classifier[-1] = another_head(last, classes)


Factory = Callable[..., Classifier]
MODELS: Registry[Factory] = Registry("model")
SMALL_PICTURE = 64


def place(model: Classifier, device: torch.device) -> Classifier:
    """Return the network on a device with its filters channels last in memory, as the fast kernels want them."""
    model = model.to(device)
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.ndim == 4:  # the module's own way knows no other number of axes
            # `contiguous` leaves the strides of a single channel as they are; convolutions choose their kernels by
            # them, and grey pictures would go through the whole network the slow way
            last = tensor.data.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
            tensor.data = last.permute(0, 3, 1, 2)
    return model


def another_head(head: nn.Linear, classes: int) -> nn.Linear:
    """Return a fresh linear layer for another number of classes, on the device and in the type of `head`."""
    return nn.Linear(head.in_features, classes, device=head.weight.device, dtype=head.weight.dtype)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a while; every module's own mode is restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def is_small(input_shape: tuple[int, int, int]) -> bool:
    """Return whether a side is 64 pixels or less: a stem made for 224 would throw most of the picture away."""
    return min(input_shape[1:]) <= SMALL_PICTURE


def require_side(name: str, input_shape: tuple[int, int, int], least: int) -> None:
    """Refuse pictures with a side under `least` pixels, naming the model and the remedy."""
    side = min(input_shape[1:])
    if side < least:
        raise SettingsError(
            f"model '{name}' needs pictures of {least} pixels or more; these have {side}",
            fix=f"use --img-size {least} or more (and no --crop under it), or another --model",
        )
