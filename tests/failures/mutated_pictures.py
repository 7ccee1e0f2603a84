"""Damaged picture files: flipped bits, splices, wrong lengths and cuts of pictures of every format that is read."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def seeds() -> dict[str, bytes]:
    """Return whole pictures by kind; the name ends in the format's suffix."""
    rng = np.random.default_rng(11)
    colour = Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8)).resize((40, 48), Image.Resampling.BICUBIC)
    grey, palette, clear = colour.convert("L"), colour.quantize(32), colour.convert("RGBA")
    clear.putalpha(grey)
    deep = Image.fromarray(rng.integers(0, 2**16, (24, 20), np.uint16))
    frames = {"save_all": True, "append_images": [palette.rotate(90), palette.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a picture"
    made: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "plain.jpg": (colour, {}),
        "turned.jpg": (colour, {"exif": exif, "quality": 95}),
        "progressive.jpg": (grey, {"progressive": True}),
        "restarts.jpg": (colour, {"restart_marker_blocks": 2, "optimize": True}),
        "inks.jpg": (colour.convert("CMYK"), {}),
        "plain.png": (colour, {"exif": exif}),
        "palette.png": (palette, {"transparency": 3}),
        "clear.png": (clear, {}),
        "deep.png": (deep, {}),
        "bits.png": (grey.convert("1"), {}),
        "frames.png": (colour, {**frames, "append_images": [colour.rotate(90)]}),
        "plain.webp": (colour, {"exif": exif}),
        "lossless.webp": (clear, {"lossless": True}),
        "frames.webp": (colour, {**frames, "append_images": [colour.rotate(90)]}),
        "plain.gif": (palette, {"transparency": 2}),
        "frames.gif": (palette, frames),
        "plain.bmp": (colour, {}),
        "palette.bmp": (palette, {}),
        "plain.tif": (colour, {"exif": exif}),
        "packed.tif": (palette, {"compression": "tiff_lzw"}),
        "deflated.tif": (clear, {"compression": "tiff_adobe_deflate"}),
        "jpeg.tif": (colour, {"compression": "jpeg"}),
        "deep.tif": (deep, {}),
        "pages.tif": (grey, {"save_all": True, "append_images": [grey.rotate(90)]}),
    }
    formats = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF"}
    encoded = {}
    for name, (picture, options) in made.items():
        buffer = io.BytesIO()
        picture.save(buffer, formats[Path(name).suffix], **options)
        encoded[name] = buffer.getvalue()
    return encoded


def _place(data: bytearray, rng: random.Random) -> int:
    """Return a place in the data; half of all lie in the header, where damage does most."""
    return rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 120))


def _flip(data: bytearray, rng: random.Random, _: bytes) -> None:
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    data[place : place + 4] = rng.randbytes(min(4, len(data) - place))


def _length(data: bytearray, rng: random.Random, _: bytes) -> None:
    place, size, order = _place(data, rng), rng.choice(["B", "H", "I"]), rng.choice("<>")
    number = rng.choice(LENGTHS) & (256 ** struct.calcsize(size) - 1)
    written = struct.pack(order + size, number)
    data[place : place + len(written)] = written


def _cut(data: bytearray, rng: random.Random, _: bytes) -> None:
    del data[rng.randrange(1, len(data)) :]


def _remove(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    del data[place : place + rng.choice([1, 2, 7, 100])]


def _repeat(data: bytearray, rng: random.Random, _: bytes) -> None:
    place = _place(data, rng)
    piece = data[place : place + rng.choice([1, 4, 30, 300])]
    data[place:place] = piece * rng.choice([1, 2, 50])


def _splice(data: bytearray, rng: random.Random, other: bytes) -> None:
    place, start = _place(data, rng), rng.randrange(len(other))
    piece = other[start : start + rng.choice([4, 40, len(other)])]
    data[place : place + (len(piece) if rng.random() < 0.5 else 0)] = piece


KINDS: tuple[Callable[[bytearray, random.Random, bytes], None], ...] = (
    _flip, _flip, _overwrite, _length, _length, _cut, _remove, _repeat, _splice,
)  # fmt: skip


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return the data with one to three kinds of damage, some of it spliced in from other data."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if len(damaged) > 1:
            rng.choice(KINDS)(damaged, rng, other)
    if damaged[:4] == b"\x89PNG" and rng.random() < 0.7:
        return _with_checksums(bytes(damaged))
    return bytes(damaged)


def _with_checksums(data: bytes) -> bytes:
    """Return a damaged PNG with right checksums, so that the damage gets past them."""
    content, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunk = data[place + 4 : place + 8 + length]
        if place + 12 + length > len(data):
            break
        content += data[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += 12 + length
    return bytes(content + data[place:])


def write_mutated(folder: Path, count: int, seed: int) -> list[Path]:
    """Write damaged pictures into folder/a and folder/b, the same for the same seed, and return their paths."""
    rng, whole = random.Random(seed), seeds()
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    paths = []
    for number in range(count):
        name, other = rng.choice(list(whole)), rng.choice(list(whole))
        path = folder / "ab"[number % 2] / f"{number:06}-{name}"
        path.write_bytes(mutate(whole[name], whole[other], rng))
        paths.append(path)
    return paths
