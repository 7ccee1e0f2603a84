"""What a picture file says of itself, and what decoding does to the picture because of it, always alike."""

from __future__ import annotations

import os
from typing import NamedTuple

from PIL import Image

GREY_MODES = ("L", "1", "I", "F", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")
_USUAL = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_ORIENTATION = 274  # tag of EXIF
_BITS_PER_SAMPLE = 258  # tag of TIFF
_PNG_DEPTH = 24  # offset of the bit depth in every PNG file
START = _PNG_DEPTH + 1  # bytes of a file that `header_of` looks at


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


def header_of(picture: Image.Image, start: bytes) -> Header:
    """Return what a picture says of itself.

    Args:
        picture: As Pillow has opened it: a TIFF whose pixels are loaded has forgotten how it stood. Of a PNG the pixels
            are loaded here, as it may say that behind them.
        start: The file's first `START` bytes.
    """
    transparent = picture.mode in TRANSPARENT_MODES or "transparency" in picture.info
    bits, orientation = _bits(picture, start), _orientation(picture)
    format_ = "JPEG" if picture.format == "MPO" else str(picture.format)  # several JPEGs in a file, the first is read
    return Header(format_, *picture.size, picture.mode, bits, orientation, transparent)


def _bits(picture: Image.Image, start: bytes) -> int:
    if picture.format == "PNG":
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


def conversions(name: str, header: Header, channels: int) -> dict[str, str]:
    """Return what decoding does to a picture, by kind, in words: it is used, but not as it came.

    Args:
        name: Of its file.
        header: What the file says.
        channels: 1 where pictures are read as grey, 3 as colour.
    """
    done = {}
    suffix = os.path.splitext(name)[1]
    if _USUAL.get(suffix.lower(), header.format) != header.format:
        done["mislabelled"] = f"{header.format} named {suffix}"
    if header.orientation > 1:
        done["turned"] = f"turned upright (EXIF orientation {header.orientation})"
    if header.bits > 8:
        done["deep"] = f"{header.bits} bits scaled to 8"
    if header.transparent:
        done["transparent"] = f"transparency ({header.mode}) laid on white"
    if header.mode in GREY_MODES:
        if channels == 3:
            done["grey"] = f"{header.mode} read as colour"
    elif header.mode != "P":  # what colours the palette has is not in the header
        if channels == 1:
            done["coloured"] = f"{header.mode} read as grey"
        elif header.mode in _OTHER_COLOURS:
            done["colour-space"] = f"{header.mode} converted to RGB"
    return done
