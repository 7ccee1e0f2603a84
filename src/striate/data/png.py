"""PNG files whose pixels are not those that were written: Pillow compares every checksum but theirs."""

from __future__ import annotations

from zlib import crc32

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def has_damaged_pixels(data: bytes) -> bool:
    """Return whether a checksum of a PNG's pixels is wrong; False for other formats and where the file is cut off."""
    if not data.startswith(_SIGNATURE):
        return False
    view, place = memoryview(data), len(_SIGNATURE)
    while (end := place + 12 + int.from_bytes(view[place : place + 4], "big")) <= len(data):
        kind = bytes(view[place + 4 : place + 8])  # a chunk is length, kind, body and checksum of kind and body
        if kind == b"IDAT" and crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return True
        if kind == b"IEND":
            return False
        place = end
    return False
