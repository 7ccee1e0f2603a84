"""What decoding does to a picture is recorded in the ledger when it is decoded, and kept with the decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.core.settings import DataSettings, TrainSettings
from striate.data import cache
from striate.data.audit.headers import read_headers
from striate.data.audit.report import check_data
from striate.data.conversions import conversions
from striate.data.decode import decode, decode_with_header
from striate.data.sources import load_data, open_data

from .picture_bytes import spec_of

PLAIN = DataSettings()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def made(mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (16, 20, 4), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


SIXTEEN = np.arange(320, dtype=np.uint16).reshape(16, 20) * 200
# file → how it is made, and what is said of it where pictures are read as colour, and as grey
STORED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "plain.jpg": (lambda path: made().save(path), "", "RGB read as grey"),
    "plain.png": (lambda path: made().save(path), "", "RGB read as grey"),
    "grey.jpg": (lambda path: made("L").save(path), "L read as colour", ""),
    "icon.gif": (lambda path: made("P").save(path), "", ""),
    "phone.jpg": (
        lambda path: made().save(path, exif=turned(6)),
        "turned upright (EXIF orientation 6)",
        "turned upright (EXIF orientation 6); RGB read as grey",
    ),
    "phone.png": (
        lambda path: made("L").save(path, exif=turned(3)),
        "turned upright (EXIF orientation 3); L read as colour",
        "turned upright (EXIF orientation 3)",
    ),
    "phone.tif": (
        lambda path: made().save(path, exif=turned(8)),
        "turned upright (EXIF orientation 8)",
        "turned upright (EXIF orientation 8); RGB read as grey",
    ),
    "upright.jpg": (lambda path: made("L").save(path, exif=turned(1)), "L read as colour", ""),
    "cut out.png": (
        lambda path: made("RGBA").save(path),
        "transparency (RGBA) laid on white",
        "transparency (RGBA) laid on white; RGBA read as grey",
    ),
    "print.jpg": (lambda path: made("CMYK").save(path), "CMYK converted to RGB", "CMYK read as grey"),
    "scan.png": (
        lambda path: Image.fromarray(SIXTEEN).save(path),
        "16 bits scaled to 8; I;16 read as colour",
        "16 bits scaled to 8",
    ),
    "scan.tif": (
        lambda path: Image.fromarray(SIXTEEN).save(path),
        "16 bits scaled to 8; I;16 read as colour",
        "16 bits scaled to 8",
    ),
    "wrong.JPG": (
        lambda path: made().save(path, format="PNG"),
        "PNG named .JPG",
        "PNG named .JPG; RGB read as grey",
    ),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder of two classes, each with all the ways to store a picture."""
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for file, (save, _, _) in STORED.items():
            save(tmp_path / "photos" / name / file)
    return tmp_path / "photos"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_ledger_says_of_each_picture_what_was_done_to_it(stored: Path, channels: int) -> None:
    records = load_data(str(stored), DataSettings(channels=channels)).files
    assert len(records) == 2 * len(STORED)
    for record in records:
        said = STORED[Path(record.path).name][2 if channels == 1 else 1]
        assert (record.status, record.reason) == ("fixed" if said else "used", said), record.path


def test_it_is_kept_with_the_pixels_and_nothing_is_opened_for_it_again(stored: Path, kept, monkeypatch) -> None:
    first = load_data(str(stored), PLAIN).files
    monkeypatch.setattr(cache, "Decoders", None)  # nothing is decoded
    assert load_data(str(stored), PLAIN).files == first


def test_pictures_kept_before_that_was_recorded_are_decoded_anew(stored: Path, kept: Path, monkeypatch) -> None:
    written = cache.json.dumps
    monkeypatch.setattr(
        cache.json, "dumps", lambda footer: written({k: v for k, v in footer.items() if k != "conversions"})
    )
    first = load_data(str(stored), PLAIN).files
    monkeypatch.undo()
    monkeypatch.setenv("STRIATE_CACHE", str(kept.parent))
    monkeypatch.setattr(cache, "WORTH", 0.0)
    assert len(list(kept.iterdir())) == 1
    for _ in range(2):
        assert load_data(str(stored), PLAIN).files == first
    assert len(list(kept.iterdir())) == 1


@pytest.mark.parametrize("file", STORED)
def test_what_is_said_in_decoding_is_what_the_header_alone_says(stored: Path, file: str) -> None:
    path = stored / "cats" / file
    (alone,) = read_headers([str(path)])
    pixels, header = decode_with_header(path, spec_of(3, 12))
    assert header == alone
    assert np.array_equal(pixels, decode(path, spec_of(3, 12)))


def test_several_pictures_in_a_jpeg_are_no_wrong_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    made().save(path, format="MPO", save_all=True, append_images=[made()])
    with Image.open(path) as opened:
        assert opened.format == "MPO"
    (header,) = read_headers([str(path)])
    assert header is not None
    assert conversions(path.name, header, 3) == {}


def test_the_check_and_a_run_say_the_same_of_every_file(stored: Path, tmp_path: Path) -> None:
    (stored / "cats" / ".DS_Store").write_bytes(b"x")
    (stored / "dogs" / "bad.png").write_bytes(b"x")
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(
        "path,action,label,reason\ncats/phone.jpg,relabel,dogs,a dog\ncats/plain.png,exclude,,\n"
        "dogs/print.jpg,relabel,dogs,\n"
    )
    settings = TrainSettings(skip_bad=True, fixes=fixes)
    trained = open_data(str(stored), settings, settings.seed).files
    assert list(check_data(str(stored), settings).files) == list(trained)
    said = {record.path: (record.status, record.reason) for record in trained}
    assert set(said) == {str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file()}
    turned_and_relabelled = "turned upright (EXIF orientation 6); cats → dogs (fixes.csv row 2: a dog)"
    assert said["cats/phone.jpg"] == ("fixed", turned_and_relabelled)
    assert said["cats/plain.png"] == ("skipped", "excluded (fixes.csv row 3)")
    assert said["dogs/print.jpg"] == ("fixed", "CMYK converted to RGB; already dogs (fixes.csv row 4)")
    assert said["dogs/bad.png"][0] == "skipped"
    assert said["cats/.DS_Store"][0] == "ignored"
