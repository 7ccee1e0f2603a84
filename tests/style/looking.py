"""Small pictures and networks that look at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.models import Architecture, build
from striate.style.network import StyleNetwork, with_layers


def stripes(height: int, width: int, period: int, channels: int = 3) -> Pixels:
    """Return coloured diagonal stripes on a ramp."""
    y, x = np.mgrid[:height, :width]
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (x + 2 * y) / period)
    layers = [wave, 1 - wave, x / width][:channels]
    return np.round(np.stack(layers, 2) * 200 + 25).astype(np.uint8)


def network(name: str = "fast", channels: int = 3, side: int = 32, **layers: Any) -> StyleNetwork:
    """Return a network of random weights, in evaluation mode."""
    spec = ImageSpec(
        channels=3 if channels == 3 else 1, height=side, width=side, classes=("a", "b"), mean=(0.5,) * channels,
        std=(0.25,) * channels,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build(Architecture(name=name), spec).eval()
    return with_layers(model, spec, name, "asked for", layers.get("content"), layers.get("style"))
