"""What picture files say of themselves, against what they were saved as."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.data.audit.headers import read_headers
from striate.data.audit.shapes import shape_findings
from striate.data.audit.stored import stored_findings
from striate.data.conversions import Header

ORIENTATION = 0x0112


def header_of(path: Path) -> Header:
    (header,) = read_headers([str(path)])
    assert header is not None
    return header


def picture(mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_exifs_and_what_means_nothing_is_0(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture().save(tmp_path / "a.jpg", exif=exif)
    assert header_of(tmp_path / "a.jpg").orientation == (orientation if 1 <= orientation <= 8 else 0)


def test_a_picture_without_exif_is_upright(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg")
    assert header_of(tmp_path / "a.jpg") == Header("JPEG", 20, 16, "RGB", 8, 1, False)


def test_broken_exif_is_told_and_does_not_stop_anything(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 30)
    assert header_of(tmp_path / "a.jpg").orientation in (0, 1)


def test_sixteen_bits_are_seen_in_grey_and_in_colour(tmp_path: Path) -> None:
    Image.fromarray(np.arange(320, dtype=np.uint16).reshape(16, 20) * 200).save(tmp_path / "grey.png")
    Image.fromarray(np.arange(320, dtype=np.uint16).reshape(16, 20) * 200).save(tmp_path / "grey.tif")
    picture().save(tmp_path / "plain.png")
    colour = bytearray((tmp_path / "plain.png").read_bytes())
    colour[24] = 16  # bit depth in the header; what follows is not read
    (tmp_path / "colour.png").write_bytes(colour)
    bits = {name: header_of(tmp_path / name).bits for name in ("grey.png", "grey.tif", "plain.png")}
    assert bits == {"grey.png": 16, "grey.tif": 16, "plain.png": 8}


@pytest.mark.parametrize(("mode", "transparent"), [("RGBA", True), ("LA", True), ("RGB", False), ("L", False)])
def test_transparency_is_that_of_the_mode(tmp_path: Path, mode: str, transparent: bool) -> None:
    picture(mode).save(tmp_path / "a.png")
    assert header_of(tmp_path / "a.png").transparent is transparent


def test_a_transparent_colour_of_a_palette_counts(tmp_path: Path) -> None:
    picture("P").save(tmp_path / "a.png", transparency=0)
    assert header_of(tmp_path / "a.png").transparent


def test_files_without_a_header_have_none(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("<html>")
    (tmp_path / "empty.png").write_bytes(b"")
    missing = str(tmp_path / "missing.png")
    assert read_headers([str(tmp_path / "text.jpg"), str(tmp_path / "empty.png"), missing]) == [None] * 3


def test_headers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    for number in range(30):
        picture(size=(10 + number, 16)).save(tmp_path / f"{number:02}.png")
    headers = read_headers([os.fspath(path) for path in sorted(tmp_path.iterdir())])
    assert [header and header.width for header in headers] == list(range(10, 40))


def test_each_way_of_storing_is_one_finding_with_its_files() -> None:
    plain = Header("JPEG", 20, 16, "RGB", 8, 1, False)
    headers = {
        "plain.jpg": plain,
        "named.jpg": plain._replace(format="PNG"),
        "NAMED.JPEG": plain,
        "phone.jpg": plain._replace(orientation=6),
        "odd.jpg": plain._replace(orientation=0),
        "deep.tif": plain._replace(format="TIFF", bits=16),
        "cut-out.png": plain._replace(format="PNG", mode="RGBA", transparent=True),
        "scan.jpg": plain._replace(mode="L"),
        "icon.gif": plain._replace(format="GIF", mode="P"),
    }
    found = {finding.kind: [case.names[0] for case in finding.cases] for finding in stored_findings(headers, 3)}
    assert found == {
        "mislabelled": ["named.jpg"],
        "turned": ["phone.jpg"],
        "broken-exif": ["odd.jpg"],
        "deep": ["deep.tif"],
        "transparent": ["cut-out.png"],
        "grey": ["scan.jpg"],
    }
    assert {finding.level for finding in stored_findings(headers, 3)} == {"note"}
    (coloured,) = (finding for finding in stored_findings(headers, 1) if finding.kind == "coloured")
    assert len(coloured.cases) == 7


def test_small_and_long_pictures_are_told_with_their_sizes() -> None:
    plain = Header("JPEG", 128, 128, "RGB", 8, 1, False)
    headers = {
        "right": plain,
        "half": plain._replace(width=64, height=64),
        "small": plain._replace(width=63, height=200),
        "strip": plain._replace(width=900, height=300),
        "column": plain._replace(width=100, height=299),
    }
    found = {finding.kind: [case.text for case in finding.cases] for finding in shape_findings(headers, 128)}
    assert found == {
        "tiny": ["small (63 × 200)"],
        "odd-shape": ["small (63 × 200)", "strip (900 × 300)"],
    }
