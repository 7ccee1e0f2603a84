"""What a picture file says of itself, and what decoding does to the picture because of it, always alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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


def conversions(name: str, header: Header, channels: int) -> Mapping[str, str]:
    """Return what decoding does to a picture, by kind, in words: it is used, but not as it came.

    Args:
        name: Of its file.
        header: What the file says.
        channels: 1 where pictures are read as grey, 3 as colour.
    """
    format_, _, _, mode, bits, orientation, transparent = header
    return _conversions("." + name.rpartition(".")[2], format_, mode, bits, orientation, transparent, channels)


@lru_cache(1024)  # most pictures of a folder are of a few kinds, and small ones are decoded in 30 µs
def _conversions(
    suffix: str, format_: str, mode: str, bits: int, orientation: int, transparent: bool, channels: int
) -> Mapping[str, str]:
    done = {}
    if _USUAL.get(suffix.lower(), format_) != format_:
        done["mislabelled"] = f"{format_} named {suffix}"
    if orientation > 1:
        done["turned"] = f"turned upright (EXIF orientation {orientation})"
    if bits > 8:
        done["deep"] = f"{bits} bits scaled to 8"
    if transparent:
        done["transparent"] = f"transparency ({mode}) laid on white"
    if mode in GREY_MODES:
        if channels == 3:
            done["grey"] = f"{mode} read as colour"
    elif mode != "P":  # what colours the palette has is not in the header
        if channels == 1:
            done["coloured"] = f"{mode} read as grey"
        elif mode in _OTHER_COLOURS:
            done["colour-space"] = f"{mode} converted to RGB"
    return done
