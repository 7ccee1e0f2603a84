"""Picture files as no camera writes them, built byte by byte where Pillow cannot write them either."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(side: int = 16, seed: int = 0, width: int | None = None) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (side, width or side, 3), np.uint8))


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, rows: bytes, *before: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG of these rows (each with its filter byte), with more chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_of(image: Image.Image, *before: bytes) -> bytes:
    pixels = np.asarray(image.convert("RGB"))
    return png(image.width, image.height, b"".join(b"\0" + row.tobytes() for row in pixels), *before)


def broken_stream() -> bytes:
    """Return a PNG whose pixels are no zlib stream, under a right checksum."""
    whole = png_of(picture())
    start, end = whole.index(b"IDAT") + 4, whole.index(b"IEND") - 8
    return whole[: start - 8] + chunk(b"IDAT", b"\x79" + whole[start + 1 : end]) + chunk(b"IEND")


def deep_png(values: np.ndarray) -> bytes:
    """Return a PNG of 16 bits per channel, from uint16 H W 3."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], rows, depth=16)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with more segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif_segment(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Return an EXIF segment of (tag, type, count, value) and the place of the directory that follows."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following))


def turned(jpeg: bytes, orientation: int) -> bytes:
    return with_segments(jpeg, exif_segment([(0x0112, 3, 1, orientation)]))


def looping_exif(jpeg: bytes) -> bytes:
    """Return a JPEG whose EXIF directories (of the picture, the camera and the place) are all the first one."""
    return with_segments(jpeg, exif_segment([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)], following=8))


def of_kind(jpeg: bytes, marker: int, bits: int = 8) -> bytes:
    """Return a JPEG whose frame says that it is of another kind: 0xC3 lossless, 0xC9 arithmetic-coded."""
    data = bytearray(jpeg)
    frame = data.index(b"\xff\xc0")
    data[frame + 1], data[frame + 4] = marker, bits
    return bytes(data)


def ycck_jpeg(inks: tuple[int, int, int, int]) -> bytes:
    """Return a JPEG of one colour, kept as Adobe's YCCK: inks as luma and chroma of their values, and black."""
    luma, blue, red = Image.new("RGB", (1, 1), inks[:3]).convert("YCbCr").getpixel((0, 0))
    # Pillow inverts what it writes and marks it as Adobe's CMYK; one byte makes the same values YCCK
    flat = Image.new("CMYK", (16, 16), (255 - luma, 255 - blue, 255 - red, inks[3]))
    data = bytearray(encoded(flat, "JPEG", quality=100))
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    data[place] = 2
    return bytes(data)


def _blocks(gif: bytes) -> int:
    """Return where a GIF's first block begins, after its table of colours."""
    return 13 + (3 * 2 ** ((gif[10] & 7) + 1) if gif[10] & 0x80 else 0)


def gif_of_frames(count: int) -> bytes:
    gif = encoded(picture(4).quantize(4), "GIF")
    block = gif[_blocks(gif) : -1]
    return gif[:-1] + block * (count - 1) + b";"


def gif_with_frame(width: int, height: int) -> bytes:
    """Return a GIF whose first frame, not its screen, has this size."""
    gif = bytearray(encoded(picture(4).quantize(4), "GIF"))
    place = _blocks(gif)
    while gif[place] == 0x21:  # extensions
        place += 2
        while gif[place]:
            place += 1 + gif[place]
        place += 1
    assert gif[place] == 0x2C
    gif[place + 5 : place + 9] = struct.pack("<HH", width, height)
    return bytes(gif)


def tiled_tiff(pixels: np.ndarray) -> bytes:
    """Return a TIFF in tiles of 16×16, from uint8 16 × 16 k: what scanners write, and Pillow does not."""
    tiles = [pixels[:, start : start + 16].tobytes() for start in range(0, pixels.shape[1], 16)]
    entries = 10
    after = 8 + 2 + 12 * entries + 4
    data = after + 8 * len(tiles)
    places = [data + 256 * number for number in range(len(tiles))]
    tags = [
        (256, 4, 1, pixels.shape[1]), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 4, 1, 16), (323, 4, 1, 16), (324, 4, len(tiles), after), (325, 4, len(tiles), after + 4 * len(tiles)),
    ]  # fmt: skip
    directory = struct.pack("<H", entries) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    tables = struct.pack(f"<{len(tiles)}I", *places) + struct.pack(f"<{len(tiles)}I", *[256] * len(tiles))
    return b"II*\0" + struct.pack("<I", 8) + directory + tables + b"".join(tiles)


def box(brand: bytes) -> bytes:
    """Return the beginning of a HEIC or AVIF file."""
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(200)


def fits() -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2",
             "NAXIS1  =                   16", "NAXIS2  =                   16", "END"]  # fmt: skip
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + bytes(2880)
