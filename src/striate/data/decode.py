"""From a file to pixels: one safe decoder for training, evaluation, prediction and serving.

Only six formats are ever opened; size and pixel count are capped before memory is taken; the whole
picture is decoded, not only its header. What a picture's mode means is fixed here once:

- EXIF orientation is applied, broken EXIF is ignored.
- Transparency is composited on a stated background colour.
- 16-bit pictures are scaled to 8 bits (divided by 257), never clipped; floating-point pictures must
  lie in [0, 1] (or [0, 255]) and contain no NaN.
- CMYK, palette and 1-bit pictures are converted; of animations the first frame is used.
- A JPEG more than four times as large as wanted is decoded at 1/2, 1/4 or 1/8 of its size, as the format
  allows, but never below twice the size that is wanted: the resize that follows leaves hardly a trace of it.

Whoever changes what pixels come out raises `DECODER`: pictures kept from earlier runs are then decoded anew.
"""

from __future__ import annotations

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from striate.core.errors import DataError
from striate.core.paths import to_type
from striate.core.spec import ImageSpec, Interpolation, Resize
from striate.data.conversions import START, TRANSPARENT_MODES, Header, header_of
from striate.data.jpeg import decode_plain
from striate.data.png import has_damaged_pixels

Pixels = NDArray[np.uint8]  # H W C

DECODER = 2
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
MAX_BYTES = 256 * 2**20
MAX_PIXELS = 64_000_000  # under Pillow's own warning level of 89 million
SMALLER_FROM = 4  # how many times as large as wanted a JPEG is not decoded at full size
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_STARTS = {"JPEG": (b"\xff\xd8\xff",), "PNG": (b"\x89PNG",), "GIF": (b"GIF8",), "TIFF": (b"II*\0", b"MM\0*")}
_EIGHT_BITS = np.round(np.arange(65536) / 257).astype(np.uint8)  # of 16
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTED = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"})
_open_lock = threading.Lock()


class PassingError(DataError):
    """A picture could not be read this time, for a reason that does not lie in the file."""


def read_bytes(path: Path | str) -> bytes:
    """Return a picture file's bytes; a pipe, socket, folder, empty or oversized file is refused unread."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise DataError("not a regular file", where=path, fix="leave it out: only files are read")
        if status.st_size == 0:
            raise DataError("empty file", where=path, fix="replace or remove it")
        if status.st_size > MAX_BYTES:
            raise DataError(
                f"file of {status.st_size:,} bytes (limit {MAX_BYTES:,})",
                where=path,
                fix="make the picture smaller",
            )
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # half the time of `open`
        try:
            data = os.read(descriptor, status.st_size)
            while more := os.read(descriptor, MAX_BYTES + 1 - len(data)) if len(data) < status.st_size else b"":
                data += more
            return data
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise PassingError("picture not found", where=path, fix="check the path") from None
    except OSError as error:
        fix = to_type("chmod", "u+r", path)
        raise PassingError(f"cannot be read ({error.strerror})", where=path, fix=fix) from None
    except ValueError as error:  # a character that no path can hold
        raise DataError(f"path cannot be used ({error})", where=path, fix="check the path") from None


def open_picture(data: bytes, where: object, side: int | None = None) -> Image.Image:
    """Return the picture, fully decoded and upright, of an allowed format and size.

    Args:
        data: The file's bytes.
        where: The picture's name, for messages.
        side: The longer side it is wanted at, in pixels; a much larger JPEG comes smaller, but of twice that or more.

    Raises:
        DataError: Not one of the allowed formats, too many pixels, or damaged.
    """
    return _upright(data, where, side)[0]


def _upright(data: bytes, where: object, side: int | None, most: int = MAX_PIXELS) -> tuple[Image.Image, Header]:
    with _naming_damage(data, where):
        picture = _open(data, where, most)
        width, height = picture.size
        if side is not None and comes_smaller(picture, side):
            picture.draft(None, (2 * side, 2 * side))
        picture.load()
        if has_damaged_pixels(data):
            raise ValueError("wrong checksum of the pixels")
        # loaded, a TIFF has forgotten how it stood
        told = _open(data, where) if picture.format == "TIFF" else picture
    upright, understood = picture, True
    # without orientation Pillow would copy it; TIFF keeps it among its own tags
    if not _ORIENTED.isdisjoint(picture.info) or hasattr(picture, "tag_v2"):
        try:
            upright = ImageOps.exif_transpose(picture)
        except Exception:  # broken EXIF says nothing about the pixels
            understood = False
    header = header_of(told, data[:START])
    orientation = header.orientation if understood else 0
    return upright, header._replace(width=width, height=height, orientation=orientation)


def comes_smaller(picture: Image.Image, side: int) -> bool:
    """Return whether a picture that is wanted with longer side `side`, in pixels, is not decoded at full size."""
    return isinstance(picture, JpegImageFile) and min(picture.size) >= SMALLER_FROM * side


def size_and_mode(data: bytes, where: object) -> tuple[tuple[int, int], str]:
    """Return (width, height), turned upright, and Pillow's mode of a picture, from its header; DataError."""
    with _naming_damage(data, where):
        picture = _open(data, where)
    width, height = picture.size
    with suppress(Exception):  # broken EXIF says nothing about the pixels
        if not _ORIENTED.isdisjoint(picture.info) and picture.getexif().get(ExifTags.Base.Orientation, 1) > 4:
            width, height = height, width
    return (width, height), picture.mode


@contextmanager
def opened_header(path: Path | str) -> Iterator[Image.Image]:
    """Give the picture of a file of which no more than the header has been read; DataError, OSError."""
    with open(path, "rb") as file, _naming_damage(file.read(8), path):  # as many as any kind begins with
        file.seek(0)
        yield _open(file, path)


def _open(data: bytes | BinaryIO, where: object, most: int = MAX_PIXELS) -> Image.Image:
    # catch_warnings changes a process-wide list, so the few microseconds of reading a header take turns
    with _open_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of a size that is refused below
        picture = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
    width, height = picture.size
    if width * height > most:
        raise _too_large(f"{width} × {height} pixels", where, most)
    if width == 0 or height == 0:
        raise DataError(f"picture of {width} × {height} pixels", where=where, fix="replace or remove it")
    return picture


@contextmanager
def _naming_damage(data: bytes, where: object) -> Iterator[None]:
    """Turn whatever Pillow raises into a DataError."""
    try:
        yield
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))  # the first number is the picture's, the next Pillow's own limit
        raise _too_large(f"{int(pixels[0]):,} pixels" if pixels else "by far", where) from None
    except UnidentifiedImageError:
        kind = next((kind for kind, start in _STARTS.items() if data.startswith(start)), None)
        what = f"not a picture of an allowed format ({', '.join(FORMATS)})"
        if kind is not None:
            what = f"damaged picture, or an unusual kind of {kind} (it begins like one)"
        raise DataError(what, where=where, fix="convert or remove it") from None
    except DataError:
        raise
    except MemoryError:
        raise PassingError("not enough memory to decode it", where=where, fix="make it smaller") from None
    except Exception as error:  # Pillow's decoders raise whatever the damage leads them to
        raise DataError(f"damaged picture ({error})", where=where, fix="replace or remove it") from None


def _too_large(what: str, where: object, most: int = MAX_PIXELS) -> DataError:
    limit = f"limit {most:,} pixels"
    return DataError(f"picture too large to decode safely ({what}; {limit})", where=where, fix="make it smaller")


def to_pixels(
    picture: Image.Image,
    channels: int,
    background: tuple[int, int, int] = (255, 255, 255),
    where: object = "picture",
) -> Pixels:
    """Return a picture's pixels as uint8 H W C with 1 or 3 channels, by the rules at the head of this file."""
    if picture.mode in _SIXTEEN_BIT or picture.mode in ("I", "F"):
        picture = Image.fromarray(_to_eight_bits(picture, where))
    if picture.mode in TRANSPARENT_MODES or "transparency" in picture.info:
        # Pillow has no direct way from premultiplied grey to RGBA
        layer = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        canvas = Image.new("RGBA", layer.size, (*background, 255))
        picture = Image.alpha_composite(canvas, layer)
    if channels == 1:
        # through RGB only where needed: RGBA and palette pictures have no direct way to grey
        grey = picture if picture.mode in ("L", "1", "RGB") else picture.convert("RGB")
        return _values(grey if grey.mode == "L" else grey.convert("L"), 1)
    return _values(picture if picture.mode == "RGB" else picture.convert("RGB"), 3)


def _values(picture: Image.Image, channels: int) -> Pixels:
    # what np.asarray does, in half the time
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, channels)


def _to_eight_bits(picture: Image.Image, where: object) -> Pixels:
    values = np.asarray(picture)
    whole = picture.mode != "F"
    if not whole and not np.isfinite(values).all():
        raise DataError("floating-point picture contains NaN or infinity", where=where, fix="replace or remove it")
    low, high = float(values.min()), float(values.max())
    limit = 65535.0 if whole else 1.0 if high <= 1 else 255.0
    if low < 0 or high > limit:
        raise DataError(
            f"pixel values from {low:g} to {high:g}: expected 0 … 65535 (whole) or 0 … 1 (floating point)",
            where=where,
            fix="save the picture with 8 or 16 bits per channel",
        )
    return _EIGHT_BITS[values] if whole else np.round(values * (255.0 / limit)).astype(np.uint8)


def fit(
    pixels: Pixels,
    height: int,
    width: int,
    resize: Resize = "crop",
    interpolation: Interpolation = "bilinear",
    background: tuple[int, int, int] = (255, 255, 255),
) -> Pixels:
    """Return the picture at height × width, uint8 H W C, resized with antialiasing.

    Args:
        pixels: uint8 H W C.
        resize: 'crop' keeps the largest centred part of the wanted shape, 'pad' the whole picture on
            the background colour, 'squash' the whole picture, distorted.
    """
    old_height, old_width, channels = pixels.shape
    if (old_height, old_width) == (height, width):
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    filter_ = _RESAMPLING[interpolation]
    if resize == "pad":
        scale = min(height / old_height, width / old_width)
        size = max(1, round(old_width * scale)), max(1, round(old_height * scale))
        colour = background if channels == 3 else Image.new("RGB", (1, 1), background).convert("L").getpixel((0, 0))
        canvas = Image.new(picture.mode, (width, height), colour)
        canvas.paste(picture.resize(size, filter_), ((width - size[0]) // 2, (height - size[1]) // 2))
        resized = canvas
    else:
        box = (0.0, 0.0, float(old_width), float(old_height))
        if resize == "crop":
            scale = min(old_height / height, old_width / width)
            left, top = (old_width - width * scale) / 2, (old_height - height * scale) / 2
            box = (
                max(left, 0),
                max(top, 0),
                min(left + width * scale, old_width),
                min(top + height * scale, old_height),
            )
        resized = picture.resize((width, height), filter_, box=box)
    return np.asarray(resized).reshape(height, width, channels)


def decode(source: Path | str | bytes, spec: ImageSpec, where: object | None = None, most: int = MAX_PIXELS) -> Pixels:
    """Return a picture file's pixels as the network's ImageSpec wants them, as `decode_with_header` does."""
    return decode_with_header(source, spec, where, most)[0]


def decode_with_header(
    source: Path | str | bytes, spec: ImageSpec, where: object | None = None, most: int = MAX_PIXELS
) -> tuple[Pixels, Header]:
    """Return a picture as the network's ImageSpec wants it, uint8 H W C, and what its file says of itself.

    Args:
        source: A path, or the file's bytes.
        spec: Channels, size, resize, interpolation, background and crop.
        where: The name for error messages; the path by default.
        most: Pixels beyond which nothing is decoded.

    Raises:
        DataError: The file is missing, unsafe, damaged or not a picture; the message names it.
    """
    if isinstance(source, bytes):
        name, data = where or f"{len(source)} bytes", source
    else:
        name, data = where or source, read_bytes(source)
    if not data:
        raise DataError("empty file", where=name, fix="replace or remove it")
    side = max(spec.height, spec.width)
    pixels = decode_plain(data, most, SMALLER_FROM * side)
    if pixels is not None and pixels.shape[2] == spec.channels:
        height, width, channels = pixels.shape
        header = Header("JPEG", width, height, "L" if channels == 1 else "RGB", 8, 1, False)
        return _to_spec(pixels, spec), header
    picture, header = _upright(data, name, side, most)
    return picture_to_spec(picture, spec, name), header


def picture_to_spec(picture: Image.Image, spec: ImageSpec, where: object = "picture") -> Pixels:
    """Return an open picture's pixels as the network sees them, centre crop included: uint8 H W C."""
    return _to_spec(to_pixels(picture, spec.channels, spec.background, where), spec)


def _to_spec(pixels: Pixels, spec: ImageSpec) -> Pixels:
    fitted = fit(pixels, spec.height, spec.width, spec.resize, spec.interpolation, spec.background)
    return fitted[spec.centre]
