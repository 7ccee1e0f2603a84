"""A folder's pixels as PIL reads them, and where the cache keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def pixels(root: Path, names) -> np.ndarray:
    return np.stack([np.asarray(Image.open(root / name).convert("RGB")).transpose(2, 0, 1) for name in names])


def entry_of(kept: Path) -> Path:
    (entry,) = kept.iterdir()
    return entry
