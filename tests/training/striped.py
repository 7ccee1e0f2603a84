"""Photographs of stripes for runs from pretrained weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.models.weights import lite0

needs_lite0 = pytest.mark.skipif(lite0() is None, reason="the `pretrained` extra is not installed")


def photographs(folder: Path, count: int = 8, side: int = 64, grey: bool = False) -> Path:
    """Write pictures of two classes that differ in the direction of their stripes."""
    rng = np.random.default_rng(0)
    stripes = np.sin(np.arange(side) * 0.8)[:, None] * np.ones(side)
    for part, of_class in (("train", count), ("val", 4)):
        for name in ("across", "along"):
            (folder / part / name).mkdir(parents=True)
            for number in range(of_class):
                pattern = stripes if name == "across" else stripes.T
                picture = 128 + 60 * pattern[..., None] + rng.normal(0, 30, (side, side, 3))
                made = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
                (made.convert("L") if grey else made).save(folder / part / name / f"{number}.png")
    return folder
