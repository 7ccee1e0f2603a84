"""Initial weights."""

from __future__ import annotations

from typing import Literal

from torch import nn


def kaiming(network: nn.Module, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Draw every convolution from N(0, 2 / fan), so that ReLUs keep the size of what passes (He et al. 2015).

    Args:
        network: Its biases become zero.
        mode: fan_out keeps the size of gradients, fan_in that of signals.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def kaiming_hidden(dense: nn.Sequential) -> None:
    """Draw all but the last of a stack's dense layers from N(0, 2 / fan-in), so that ReLUs keep the size of signals."""
    layers = [layer for layer in dense if isinstance(layer, nn.Linear)]
    for layer in layers[:-1]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
