"""What is no picture, or too large a one, is refused as a DataError that names it, before it costs anything."""

from __future__ import annotations

import os
import re
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ImageFile

from striate.core.errors import DataError
from striate.data.decode import MAX_PIXELS, decode, read_bytes

from .picture_bytes import encoded, png_chunk, random_picture, spec_of


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of a few hundred bytes that claims to be width × height."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = zlib.compress(bytes(100_000))
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", lines) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


BAD_BYTES: dict[str, Callable[[], bytes]] = {
    "truncated.jpg": lambda: encoded(random_picture(64, 64), "JPEG")[:700],
    "truncated.png": lambda: encoded(random_picture(64, 64), "PNG")[:3000],
    "truncated.gif": lambda: encoded(random_picture(64, 64), "GIF")[:1500],
    "truncated.webp": lambda: encoded(random_picture(64, 64), "WEBP")[:700],
    "truncated.bmp": lambda: encoded(random_picture(64, 64), "BMP")[:3000],
    "truncated.tif": lambda: encoded(random_picture(64, 64), "TIFF")[:3000],
    "only-the-header.png": lambda: encoded(random_picture(), "PNG")[:33],
    "empty.jpg": lambda: b"",
    "one-byte.jpg": lambda: b"\xff",
    "letter.jpg": lambda: b"Dear reader,\nthis is no picture.\n" * 20,
    "page.jpg": lambda: b"<!DOCTYPE html><html><head><title>404</title></head><body>not found</body></html>",
    "drawing.png": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "pixmap.jpg": lambda: encoded(random_picture(), "PPM"),
    "icon.png": lambda: encoded(random_picture(), "ICO"),
    "targa.png": lambda: encoded(random_picture(), "TGA"),
    "paintbrush.png": lambda: encoded(random_picture(), "PCX"),
    "jpeg2000.jpg": lambda: encoded(random_picture(), "JPEG2000"),
    "postscript.jpg": lambda: encoded(random_picture(), "EPS"),
    "document.jpg": lambda: encoded(random_picture(), "PDF"),
    "bomb.png": lambda: png_header(30_000, 30_000),
    "large.png": lambda: png_header(9_000, 8_000),
    "no-width.png": lambda: png_header(0, 10),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bad_files_are_refused_by_name_with_a_remedy(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(BAD_BYTES[name]())
    with pytest.raises(DataError) as caught:
        decode(path, spec_of())
    assert caught.value.exit_code == 3
    assert caught.value.where == str(path)
    assert caught.value.fix
    assert name in str(caught.value)


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bad_bytes_without_a_file_are_refused_under_the_name_given(name):
    with pytest.raises(DataError, match="upload 7"):
        decode(BAD_BYTES[name](), spec_of(), "upload 7")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_000, 8_000), (60_000, 2_000)])
def test_a_decompression_bomb_is_refused_before_its_memory_is_taken(width, height, monkeypatch):
    assert width * height > MAX_PIXELS
    data = png_header(width, height)
    assert len(data) < 1000

    def allocate(self: ImageFile.ImageFile) -> None:
        raise AssertionError("pixels were asked for")

    monkeypatch.setattr(ImageFile.ImageFile, "load", allocate)
    with pytest.raises(DataError, match="too large"):
        decode(data, spec_of())


def refused_without_blocking(path: Path) -> DataError:
    caught: list[BaseException] = []

    def read() -> None:
        try:
            read_bytes(path)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(caught[0], DataError)
    return caught[0]


def test_a_missing_file_and_a_link_in_a_circle_are_named(tmp_path):
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    for path in (tmp_path / "missing.jpg", circle):
        error = refused_without_blocking(path)
        assert error.where == str(path)
        assert error.fix


def test_a_folder_and_a_device_are_refused(tmp_path):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    for path in (folder, Path("/dev/zero")):
        error = refused_without_blocking(path)
        assert error.where == str(path)
        assert "regular file" in error.what


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    error = refused_without_blocking(path)
    assert error.where == str(path)
    assert "regular file" in error.what
    assert error.fix


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_000, 8_000)])
def test_the_limit_that_is_told_is_ours_alone(width, height):
    with pytest.raises(DataError) as caught:
        decode(png_header(width, height), spec_of(), "large.png")
    assert caught.value.what.count("limit") == 1
    assert f"limit {MAX_PIXELS:,} pixels" in caught.value.what
    said = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", caught.value.what)}
    assert said in ({width * height, MAX_PIXELS}, {width, height, MAX_PIXELS})
