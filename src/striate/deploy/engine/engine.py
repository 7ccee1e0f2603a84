"""The contract of an engine, and the registry of those that keep it.

An engine stands for one network with the weights that it had when the engine was made. Everything else (how pixels
become inputs, views, calibration, what is unknown) is the same code for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from striate.core.registry import Registry
from striate.models import Classifier


class Engine(Protocol):
    """Computes a network's logits; several threads may call it at once.

    Args:
        name: As it is registered.
    """

    name: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits, float32 N K on the processor, and what the layer of the unknown-detector sees.

        The second is N F on the network's device, None where the engine was made without a layer.

        Args:
            images: Network inputs, float32 N C H W, channels last in memory (`normalize`), on the network's device.
        """


class UnfitError(Exception):
    """Why an engine cannot run a network on this machine: one clause, for the record and for messages."""


# (network in evaluation mode, an example input N C H W, the layer of the unknown-detector or None); raises UnfitError
Make = Callable[[Classifier, Tensor, str | None], Engine]

ENGINES: Registry[Make] = Registry("engine")
INEXACT = frozenset({"bf16"})  # meant to differ by more than rounding, and so only taken by name
