"""Initial weights."""

from __future__ import annotations

from typing import Literal

import torch
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


@torch.no_grad()
def copy_input(network: nn.Module) -> None:
    """Make each odd-sided convolution's first filters, as many as it has inputs, copy one input map each.

    The others stay as drawn. Without residual connections, this too lets pictures reach the last layer from the
    first step on (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498, 3.3; the Dirac
    initialisation of Zagoruyko and Komodakis 2017 does so to all filters).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1 and all(side % 2 for side in module.kernel_size):
            nn.init.dirac_(module.weight[: module.in_channels])
