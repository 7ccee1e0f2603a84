"""The two pictures: from a file or an array to pixels of the wanted size at their own aspect ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from striate.core.errors import DataError
from striate.core.paths import user_path
from striate.data.decode import Pixels, fit, open_picture, read_bytes, to_pixels
from striate.style.settings import LEAST_SIDE

Source = str | Path | NDArray[Any]


def open_source(source: Source, side: int, what: str) -> tuple[Image.Image, str]:
    """Return a picture, upright, and its name for messages.

    Args:
        source: A file, or uint8 H W, H W 1, H W 3 or H W 4 (the last with transparency).
        side: The longer side it is wanted at.
        what: 'content' or 'style', the name of an array.

    Raises:
        DataError: Not a picture.
    """
    if isinstance(source, np.ndarray):
        shape = source.shape
        if (
            source.dtype != np.uint8
            or 0 in shape
            or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))
        ):
            raise DataError(
                f"an array of {source.dtype}, {' × '.join(map(str, shape))}, is no picture",
                where=what,
                fix="give uint8 of height × width, or of height × width × 1, 3 or 4",
            )
        return Image.fromarray(source[:, :, 0] if shape[2:] == (1,) else source), what
    path = user_path(source, f"the {what} picture's file, or its pixels")
    return open_picture(read_bytes(path), path, side), str(path)


def size_at(picture: Image.Image, side: int, where: str) -> tuple[int, int]:
    """Return (height, width) of a picture whose longer side is brought to `side`.

    Raises:
        DataError: The shorter side would have too few pixels.
    """
    longer, shorter = max(picture.size), min(picture.size)
    if round(shorter * side / longer) < LEAST_SIDE:
        raise DataError(
            f"of {picture.width} × {picture.height} pixels, the shorter side would be under {LEAST_SIDE} at --size "
            f"{side}",
            where=where,
            fix="cut a less elongated part out of it, or use a larger --size",
        )
    return round(picture.height * side / longer), round(picture.width * side / longer)


def pixels_at(picture: Image.Image, side: int, channels: int, where: str) -> Pixels:
    """Return a picture's pixels, uint8 H W C, its longer side brought to `side`; transparency is laid on white."""
    height, width = size_at(picture, side, where)
    return fit(to_pixels(picture, channels, where=where), height, width, "squash", "lanczos")
