"""Brightness, contrast, saturation and hue of each sample, composed to one 3×4 colour matrix.

Pixels are 0 … 255. Each change is affine in the colour, so a chain of them is one matrix; the result is
clamped once, at the end. Saturation and hue exist for colour pictures only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.core.device import constant
from striate.core.random import Stream, uniform
from striate.core.settings import AugmentSettings

LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as torchvision rounds it


@dataclass(frozen=True)
class Color:
    """One batch's colour parameters, float32 N each; 1 (hue: 0) changes nothing.

    Args:
        brightness: Factor of every channel.
        contrast: Distance from the picture's mean grey is multiplied by this.
        saturation: Distance from the pixel's own grey is multiplied by this.
        hue: Turn of the colour circle, −0.5 … 0.5.
    """

    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor


def draw_color(settings: AugmentSettings, seed: int, epoch: int, indices: Tensor) -> Color | None:
    """Return each sample's parameters, a pure function of the arguments; None where no colour changes."""
    if not (settings.brightness or settings.contrast or settings.saturation or settings.hue):
        return None
    streams = [Stream.BRIGHTNESS, Stream.CONTRAST, Stream.SATURATION, Stream.HUE]
    swing = 2 * uniform(seed, epoch, indices, streams) - 1  # N 4
    return Color(
        brightness=1 + swing[:, 0] * settings.brightness,
        contrast=1 + swing[:, 1] * settings.contrast,
        saturation=1 + swing[:, 2] * settings.saturation,
        hue=swing[:, 3] * settings.hue,
    )


def color_matrix(color: Color, mean: Tensor) -> Tensor:
    """Return each sample's colour map, float32 N C C+1: the last column is added.

    Args:
        color: The parameters.
        mean: N C, each picture's mean colour (0 … 255); contrast turns about its grey.
    """
    count, channels = mean.shape
    identity = torch.eye(channels, device=mean.device).expand(count, channels, channels)
    luma = constant(LUMA if channels == 3 else (1.0,), mean.device)
    grey = luma.expand(channels, channels)  # every output channel is the pixel's grey

    linear = identity * color.brightness[:, None, None]
    # contrast: the mean grey of the brightened picture stays where it is
    mean_grey = (linear @ mean[:, :, None])[:, :, 0] @ luma
    offset = ((1 - color.contrast) * mean_grey)[:, None].expand(count, channels)
    linear = linear * color.contrast[:, None, None]
    if channels == 3:
        saturation = color.saturation[:, None, None]
        turn = hue_rotation(color.hue) @ (saturation * identity + (1 - saturation) * grey)
        linear, offset = turn @ linear, (turn @ offset[:, :, None])[:, :, 0]
    return torch.cat([linear, offset[:, :, None]], 2)


def hue_rotation(turn: Tensor) -> Tensor:
    """Return rotations of RGB space about the grey axis by `turn` of a full circle, N 3 3.

    Rodrigues' formula for the axis (1, 1, 1)/√3. A third of a turn sends red to green to blue exactly,
    as a turn of HSV's hue does; in between it is the linear counterpart of that turn.
    """
    angle = 2 * math.pi * turn[:, None, None]
    cross = constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], turn.device) / math.sqrt(3)
    identity, ones = torch.eye(3, device=turn.device), torch.ones(3, 3, device=turn.device)
    return torch.cos(angle) * identity + torch.sin(angle) * cross + (1 - torch.cos(angle)) * ones / 3


def apply_color(images: Tensor, color: Color) -> Tensor:
    """Return the recoloured pictures, float32 N C H W, clamped to 0 … 255."""
    pixels = images.float()
    matrix = color_matrix(color, pixels.mean((2, 3)))
    channels = images.shape[1]
    changed = torch.einsum("nij,njhw->nihw", matrix[:, :, :channels], pixels)
    return (changed + matrix[:, :, channels, None, None]).clamp_(0, 255)
