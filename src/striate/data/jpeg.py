"""Plain JPEGs straight to pixels: the same library as Pillow's, without reading the file's header in Python.

Of a small picture Pillow spends most of the time on that header. What is not plain (turned by EXIF, CMYK,
12 bits, damaged in any way) is left to Pillow, which gives the same pixels and says what is wrong.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_START = b"\xff\xd8\xff"
_TURNED = (b"Exif\0", b"http://ns.adobe.com/xap/")  # segments that may say which side is up
_COLOURS: dict[str, Literal["RGB", "GRAY"]] = {"YCbCr": "RGB", "Gray": "GRAY"}


def decode_plain(data: bytes, most: int, below: int) -> NDArray[np.uint8] | None:
    """Return a plain JPEG's pixels, uint8 H W C with 1 or 3 channels; None where Pillow has to look at it.

    Args:
        data: A picture file's bytes.
        most: Pixels beyond which nothing is decoded.
        below: The shorter side, in pixels, from which on nothing is decoded.
    """
    if not data.startswith(_START) or any(mark in data for mark in _TURNED):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in _COLOURS or height * width > most or min(height, width) >= below:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, _COLOURS[colours])
    except (ValueError, MemoryError):  # also what libjpeg only warns of
        return None
    return pixels
