"""Headers of picture files: format, size, mode, bits and orientation, read without decoding a pixel."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from PIL import Image

from striate.core.errors import DataError
from striate.data.decode import opened_header
from striate.data.parallel import usable_cores

_ORIENTATION = 274  # tag of EXIF
_BITS_PER_SAMPLE = 258  # tag of TIFF
_PNG_DEPTH = 24  # offset of the bit depth in every PNG file
_THREADS_PER_CORE = 4  # most of the time goes to the disk


class Header(NamedTuple):
    """What a picture file says of itself.

    Args:
        format: Pillow's name: 'JPEG'.
        width, height: In pixels, not turned upright.
        mode: Pillow's mode.
        bits: Per value.
        orientation: EXIF's: 1 … 8, 1 where there is none, 0 where it cannot be made out.
        transparent: Whether it has an alpha channel or a transparent colour.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int
    transparent: bool


def read_headers(paths: Sequence[str]) -> list[Header | None]:
    """Return the header of each file, None of one that cannot be read."""
    # readers of headers put their own filters on top of this one, one at a time, and take them off again
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS_PER_CORE * usable_cores()) as pool:
        warnings.simplefilter("ignore")  # of odd metadata
        return list(pool.map(_read_header, paths))


def _read_header(path: str) -> Header | None:
    try:
        with opened_header(path) as picture:
            transparent = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
            return Header(
                str(picture.format),
                *picture.size,
                picture.mode,
                _bits(picture, path),
                _orientation(picture),
                transparent,
            )
    except (DataError, OSError):
        return None


def _bits(picture: Image.Image, path: str) -> int:
    if picture.format == "PNG":
        with open(path, "rb") as file:
            start = file.read(_PNG_DEPTH + 1)
        return start[_PNG_DEPTH] if len(start) > _PNG_DEPTH else 8
    if hasattr(picture, "tag_v2"):
        bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (8,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8


def _orientation(picture: Image.Image) -> int:
    try:
        said = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # whatever broken EXIF leads Pillow to
        return 0
    return said if isinstance(said, int) and 1 <= said <= 8 else 0
