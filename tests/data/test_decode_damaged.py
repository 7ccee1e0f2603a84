"""Bytes damaged anywhere give a picture or a DataError, whatever the format."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data.decode import decode

from .picture_bytes import encoded, png_chunk, random_picture, spec_of, translucent


def with_checksums(data: bytes) -> bytes:
    """Return a damaged PNG with right checksums, so that the damage gets past them."""
    content, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + length > len(data):
            break
        content += png_chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length])
        place += 12 + length
    return bytes(content + data[place:])


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        # half of the damage hits the headers, where it does most
        place = int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 100)))
        match rng.integers(5):
            case 0:
                content[place] = rng.integers(256)
            case 1:
                content[place] ^= 1 << int(rng.integers(8))
            case 2:
                del content[place : place + int(rng.integers(1, 9))]
            case 3:
                content[place:place] = rng.integers(0, 256, 3, dtype=np.uint8).tobytes()
            case 4:
                del content[max(place, 1) :]
        if not content:
            return b"\0"
    return with_checksums(bytes(content)) if data.startswith(b"\x89PNG") else bytes(content)


def originals() -> dict[str, bytes]:
    picture = random_picture()
    palette = picture.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpeg": encoded(picture, "JPEG", exif=exif),
        "progressive jpeg": encoded(picture.convert("L"), "JPEG", progressive=True),
        "cmyk jpeg": encoded(picture.convert("CMYK"), "JPEG"),
        "png": encoded(picture, "PNG", exif=exif),
        "palette png": encoded(palette, "PNG", transparency=3),
        "grey png": encoded(picture.convert("L"), "PNG", transparency=7),
        "rgba png": encoded(translucent(), "PNG"),
        "16-bit png": encoded(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257), "PNG"),
        "gif": encoded(palette, "GIF", transparency=2),
        "animated gif": encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]),
        "bmp": encoded(picture, "BMP"),
        "webp": encoded(picture, "WEBP"),
    }


@pytest.mark.parametrize("kind", originals())
def test_damaged_bytes_give_a_picture_or_a_data_error_and_nothing_else(kind):
    original, rng = originals()[kind], np.random.default_rng(17)
    refused: list[DataError] = []
    for number in range(120):
        data = mutated(original, rng)
        try:
            pixels = decode(data, spec_of(1 + 2 * (number % 2), 8), "upload")
            assert pixels.shape == (8, 8, 1 + 2 * (number % 2))
            assert pixels.dtype == np.uint8
        except DataError as error:
            refused.append(error)
    assert len(refused) > 10
    assert all(error.where == "upload" and error.fix for error in refused)
