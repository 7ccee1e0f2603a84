"""The exponential moving average of the weights, which is what is evaluated and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """average ← d · average + (1 − d) · weights after every step, with d = min(decay, (1 + n) / (10 + n)).

    The smaller first decays (as in TensorFlow's ExponentialMovingAverage) let short runs forget their
    random start. Batch-norm statistics are averaged with the weights they belong to; counters are copied.

    Args:
        model: The network whose weights are followed.
        decay: 0 < decay < 1, or None to follow without averaging.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {}
        if decay is not None:
            self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take the weights after step number `step` (from 1) into the average."""
        if self.decay is None:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        current = model.state_dict()
        floating = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[name] for name in floating], [current[name] for name in floating], 1 - decay)
        for name in current.keys() - set(floating):
            self.tensors[name].copy_(current[name])

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back the average of a checkpoint."""
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the network the averaged weights for the duration of the block."""
        if self.decay is None:
            yield
            return
        own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.tensors)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def finish(self, model: nn.Module) -> None:
        """Give the network the averaged weights for good."""
        if self.decay is not None:
            model.load_state_dict(self.tensors)
