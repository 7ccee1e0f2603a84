"""Initial weights."""

from __future__ import annotations

from torch import nn


def kaiming(network: nn.Module) -> None:
    """Draw every convolution from N(0, 2 / fan-out), so that ReLUs keep the size of gradients (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
