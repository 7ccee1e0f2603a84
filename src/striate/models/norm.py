"""Normalisation chosen by one word, so that one network can be compared with and without it.

| norm          | mean and variance over                    | source                                         |
|---------------|-------------------------------------------|------------------------------------------------|
| `batch`       | the batch and all positions, per channel  | Ioffe and Szegedy 2015                         |
| `batch-shift` | the same, and no scale after it           | Page 2019, "How to train your ResNet 8"        |
| `group:G`     | all positions of one of G channel groups  | Wu and He 2018; `group:1` takes all channels   |
| `layer`       | the channels, at each position            | Ba, Kiros and Hinton 2016; ConvNeXt's variant  |
| `none`        |                                           |                                                |

`batch-shift` learns biases only, and takes 0.4 of its running statistics from each batch, or M with
`batch-shift:M`: statistics that lag behind spoil short runs, in which weights move fast.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError

SHIFT, FAST = "batch-shift", 0.4


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of feature maps, at each position by itself."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return N C h w."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelBias(nn.Module):
    """The bias that a convolution lacks where a norm was meant to follow it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return N C h w."""
        return maps + self.bias[:, None, None]


def feature_norm(norm: str, channels: int, eps: float = 1e-5) -> nn.Module:
    """Return the normalisation of feature maps N C h w; nn.Identity for 'none'.

    Raises:
        SettingsError: A word that is not in the table, or groups that do not divide the channels.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels, eps)
    if isinstance(norm, str) and norm.startswith(SHIFT):
        return _without_scale(nn.BatchNorm2d(channels, eps, _momentum(norm)))
    if norm == "layer":
        return ChannelLayerNorm(channels, eps)
    return nn.GroupNorm(_groups(norm, channels), channels, eps)


def dense_norm(norm: str, width: int) -> nn.Module:
    """Return the normalisation of a dense layer's outputs N F; nn.Identity for 'none'.

    Raises:
        SettingsError: As `feature_norm`.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm1d(width)
    if isinstance(norm, str) and norm.startswith(SHIFT):
        return _without_scale(nn.BatchNorm1d(width, momentum=_momentum(norm)))
    if norm == "layer":
        return nn.LayerNorm(width)
    return nn.GroupNorm(_groups(norm, width), width)


def _without_scale(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    norm.weight.requires_grad_(False)
    return norm


def _momentum(norm: str) -> float:
    if norm == SHIFT:
        return FAST
    try:
        momentum = float(norm.removeprefix(f"{SHIFT}:"))
    except ValueError:
        momentum = 0.0
    if not 0 < momentum <= 1:
        raise SettingsError("no momentum of running statistics", where=norm, fix="use batch-shift:M with 0 < M ≤ 1")
    return momentum


def _groups(norm: object, channels: int) -> int:
    kind, _, number = norm.partition(":") if isinstance(norm, str) else ("", "", "")
    if kind != "group" or not (number.isascii() and number.isdigit()) or int(number) < 1:
        raise SettingsError(
            "unknown normalisation", where=norm, fix="norm is batch, batch-shift, layer, none or group:G, as group:8"
        )
    if channels % int(number):
        raise SettingsError(
            f"{channels} channels cannot be divided into {number} equal groups",
            where=norm,
            fix="choose a G that divides the channels of every layer; group:1 always does",
        )
    return int(number)


def replace_batch_norms(network: nn.Module, norm: str) -> None:
    """Put another normalisation in the place of every BatchNorm2d within a network; 'none' leaves a bias.

    timm's batch norms carry the activation that follows them; it stays.
    """
    for name, child in list(network.named_children()):
        if not isinstance(child, nn.BatchNorm2d):
            replace_batch_norms(child, norm)
            continue
        if norm == "batch":
            continue
        channels = child.num_features
        fresh = ChannelBias(channels) if norm == "none" else feature_norm(norm, channels, child.eps)
        after = [getattr(child, part) for part in ("drop", "act") if hasattr(child, part)]
        setattr(network, name, nn.Sequential(fresh, *after) if after else fresh)
