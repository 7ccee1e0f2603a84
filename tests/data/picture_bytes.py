"""Pictures as the bytes of a file, the spec they are decoded for, and the pixels they are decoded to."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from striate.core.spec import ImageSpec
from striate.data.decode import open_picture, to_pixels


def random_picture(height: int = 16, width: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def translucent() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (16, 16, 4), dtype=np.uint8))


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def spec_of(channels: int = 3, side: int = 16, **changes: object) -> ImageSpec:
    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        classes=("a", "b"),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        **changes,
    )


def pixels_of(data: bytes, channels: int = 3, **options: object) -> np.ndarray:
    return to_pixels(open_picture(data, "picture"), channels, **options)
