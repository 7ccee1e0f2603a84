"""Pictures that are damaged, dangerous or odd: all named at once, or decoded as they look (I01 to I26)."""

from __future__ import annotations

import csv
import io
import os
import stat
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from striate.cli.main import main
from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import decode

from . import odd_pictures as odd
from .folder_state import state
from .odd_pictures import encoded, picture, png_of

JPEG = encoded(picture(), "JPEG", quality=90)
LARGE = encoded(picture(64), "JPEG")
PNG = encoded(picture(), "PNG")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def unreadable_float() -> bytes:
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = np.nan
    return encoded(Image.fromarray(values), "TIFF")


DAMAGED, FOREIGN, HUGE = "damaged picture", "not a picture of an allowed format", "too large to decode safely"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "i01-empty.jpg": (lambda: b"", "empty file"),
    "i02-cut-at-10.jpg": (lambda: LARGE[: len(LARGE) // 10], ""),  # the header itself is cut: damaged, or no picture
    "i02-cut-at-50.jpg": (lambda: LARGE[: len(LARGE) // 2], "truncated"),
    "i02-cut-at-99.jpg": (lambda: LARGE[: len(LARGE) * 99 // 100], "truncated"),
    "i02-without-its-end.jpg": (lambda: JPEG[:-2], "truncated"),
    "i03-cut.png": (lambda: PNG[: len(PNG) // 2], "truncated"),
    "i03-checksum-of-the-header.png": (lambda: flipped(PNG, 29), DAMAGED),
    "i03-checksum-of-the-pixels.png": (lambda: flipped(PNG, PNG.index(b"IEND") - 5), DAMAGED),
    "i03-pixels.png": (lambda: flipped(PNG, PNG.index(b"IDAT") + 300), DAMAGED),
    "i03-stream.png": (odd.broken_stream, DAMAGED),
    "i04-letter.jpg": (lambda: b"Dear reader,\nthis is no picture.\n" * 20, FOREIGN),
    "i04-page.jpg": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", FOREIGN),
    "i04-document.jpg": (lambda: encoded(picture(), "PDF"), FOREIGN),
    "i05-bomb.png": (lambda: odd.png(30_000, 30_000, bytes(100_000)), HUGE),
    "i05-frame.gif": (lambda: odd.gif_with_frame(65_535, 65_535), HUGE),
    "i06-large.png": (lambda: odd.png(12_000, 9_000, bytes(100_000)), HUGE),
    "i07-text.png": (lambda: png_of(picture(), odd.chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26)))), DAMAGED),
    "i08-no-width.png": (lambda: odd.png(0, 10, b""), ""),
    "i12-not-a-number.tif": (unreadable_float, "NaN"),
    "i15-lossless.jpg": (lambda: odd.of_kind(JPEG, 0xC3), DAMAGED),
    "i15-12-bits.jpg": (lambda: odd.of_kind(JPEG, 0xC1, bits=12), DAMAGED),
    "i16-heic.jpg": (lambda: odd.box(b"heic"), FOREIGN),
    "i16-avif.jpg": (lambda: odd.box(b"avif"), FOREIGN),
    "i16-svg.jpg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', FOREIGN),
    "i16-psd.jpg": (lambda: b"8BPS\0\1" + bytes(8) + b"\0\3\0\0\0\4\0\0\0\4\0\x08\0\3" + bytes(200), FOREIGN),
    "i16-eps.jpg": (lambda: encoded(picture(), "EPS"), FOREIGN),
    "i16-jpeg2000.jpg": (lambda: encoded(picture(), "JPEG2000"), FOREIGN),
    "i16-fits.jpg": (odd.fits, FOREIGN),
}  # fmt: skip
SPECIAL = ("i23-pipe.jpg", "i23-socket.jpg", "i23-zero.jpg")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return two classes of good pictures, and in one of them everything that must be refused."""
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            picture(seed=number).save(tmp_path / "photos" / name / f"good{number}.png")
    cats = tmp_path / "photos" / "cats"
    for name, (make, _) in REFUSED.items():
        (cats / name).write_bytes(make())
    os.mkfifo(cats / SPECIAL[0])
    os.mknod(cats / SPECIAL[1], stat.S_IFSOCK | 0o600)
    (cats / SPECIAL[2]).symlink_to("/dev/zero")
    with open(cats / "i24-sparse.png", "wb") as file:
        file.truncate(4 * 2**30)
    return tmp_path / "photos"


def each_is_told(err: str) -> None:
    lines = err.splitlines()
    wanted = {name: told for name, (_, told) in REFUSED.items()} | dict.fromkeys(SPECIAL, "not a regular file")
    wanted["i24-sparse.png"] = "file of 4,294,967,296 bytes (limit"
    for name, told in wanted.items():
        assert any(f"/{name}" in line and told in line for line in lines), f"{name}: {told}\n{err}"


def test_all_are_named_at_once_and_eps_starts_no_program(refused, album: Path, monkeypatch) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was asked")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    count = len(REFUSED) + len(SPECIAL) + 1
    err = refused(
        ["train", album], 3, f"{count} of {count + 16} pictures cannot be used", "--skip-bad", lines=count + 2
    )
    each_is_told(err)
    assert "good" not in err


def test_with_skip_bad_each_is_recorded_with_its_reason(trained, album: Path) -> None:
    run, err = trained(album, "--skip-bad")
    rows = {row["path"]: row for row in csv.DictReader((run / "files.csv").read_text().splitlines())}
    skipped = {path for path, row in rows.items() if row["status"] == "skipped" and row["reason"]}
    assert skipped == {f"cats/{name}" for name in (*REFUSED, *SPECIAL, "i24-sparse.png")}
    assert f"{len(skipped)} unreadable pictures left out" in err


def test_predict_names_each_goes_on_and_exits_3(album: Path, make_spec, save_untrained, capsys) -> None:
    model = save_untrained(make_spec(channels=3, side=16, classes=2))
    before = state(album)
    assert main(["predict", str(model), str(album), "--device", "cpu"]) == 3
    out, err = capsys.readouterr()
    each_is_told(err)
    assert len(out.splitlines()) == 16
    assert "Traceback" not in err
    assert state(album) == before


def view(data: bytes, side: int = 16, channels: int = 3) -> np.ndarray:
    spec = ImageSpec(
        channels=channels, height=side, width=side, classes=("a",), mean=(0,) * channels, std=(1,) * channels
    )
    return decode(data, spec, "picture")


RAMP = np.arange(16 * 16 * 3, dtype=np.uint16).reshape(16, 16, 3) * 85
MPO = {"save_all": True, "append_images": [picture(seed=1)], "quality": 90}
ARCHIVE = b"PK\3\4" + bytes(100) + b"PK\5\6" + bytes(18)
ACCEPTED: dict[str, tuple[Callable[[], bytes], Callable[[], object], int]] = {  # file, pixels, tolerance
    "i03 PNG without its end": (lambda: PNG[:-12], picture, 0),
    "i04 PNG named JPEG": (lambda: PNG, picture, 0),
    "i07 PNG with 10,000 texts": (
        lambda: png_of(picture(), *[odd.chunk(b"tEXt", b"key%d\0text" % n) for n in range(10_000)]), picture, 0),
    "i07 JPEG with 1,000 segments": (
        lambda: odd.with_segments(JPEG, *[odd.segment(0xEB, b"abcd")] * 1000), lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i07 EXIF in a circle": (lambda: odd.looping_exif(JPEG), lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i09 orientation 0": (lambda: odd.turned(JPEG, 0), lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i09 orientation 9": (lambda: odd.turned(JPEG, 9), lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i10 Adobe's YCCK": (
        lambda: odd.ycck_jpeg((200, 30, 90, 40)),
        lambda: np.full((16, 16, 3), [(255 - ink) * (255 - 40) / 255 for ink in (200, 30, 90)]), 3),
    "i13 PNG of 16 bits per channel": (lambda: odd.deep_png(RAMP), lambda: RAMP / 257, 1),
    "i13 PNG with a gamma and a broken profile": (
        lambda: png_of(picture(), odd.chunk(b"gAMA", b"\0\0\xb1\x8f"), odd.chunk(b"iCCP", b"icc\0\0garbage")),
        picture, 0),
    "i16 a camera's MPO": (lambda: encoded(picture(), "MPO", **MPO), lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i17 BigTIFF": (lambda: encoded(picture(), "TIFF", big_tiff=True), picture, 0),
    "i20 JPEG that is a page as well": (
        lambda: odd.with_segments(JPEG, odd.segment(0xFE, b"<script>alert(1)</script>")) + b"<html></html>",
        lambda: Image.open(io.BytesIO(JPEG)), 0),
    "i20 JPEG that is an archive as well": (lambda: JPEG + ARCHIVE, lambda: Image.open(io.BytesIO(JPEG)), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_but_whole_pictures_are_decoded_as_they_look_and_soon(name: str) -> None:
    make, expected, tolerance = ACCEPTED[name]
    data = make()
    began = time.monotonic()
    ours = view(data)
    assert time.monotonic() - began < 1
    np.testing.assert_allclose(ours.astype(float), np.asarray(expected()).astype(float), atol=tolerance)


@pytest.mark.parametrize("marker", [0xC1, 0xC2, 0xC9, 0xCA])
def test_i15_other_kinds_of_jpeg_are_decoded_or_named(marker: int) -> None:
    data = odd.of_kind(JPEG, marker)
    try:
        shape = view(data).shape
    except DataError:
        with pytest.raises(DataError, match=r"damaged picture.*: picture\nfix: "):
            view(data)
    else:
        assert shape == (16, 16, 3)


def test_i14_of_ten_thousand_frames_only_the_first_is_read() -> None:
    one, many = odd.gif_of_frames(1), odd.gif_of_frames(10_000)
    with Image.open(io.BytesIO(many[: len(one) * 20 - 1] + b";")) as short:
        assert short.n_frames > 10, "the frames are there"
    began = time.monotonic()
    assert np.array_equal(view(many, 4), view(one, 4))
    assert time.monotonic() - began < 0.5


def test_i17_tiles_are_put_together() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32), np.uint8)
    wide = ImageSpec(channels=1, height=16, width=32, classes=("a",), mean=(0,), std=(1,))
    assert np.array_equal(decode(odd.tiled_tiff(pixels), wide)[:, :, 0], pixels)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 10_000), (10_000, 1), (3, 2)])
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_i08_the_thinnest_pictures_are_resized(width: int, height: int, format_: str) -> None:
    data = encoded(
        Image.new("RGB", (width, height), (200, 100, 50)), format_, **({"quality": 100}, {})[format_ == "PNG"]
    )
    assert np.abs(view(data).astype(int) - (200, 100, 50)).max() <= 3


def test_i21_classes_of_one_colour_are_trained_on(trained, tmp_path: Path) -> None:
    for name, level in (("black", 0), ("also black", 0), ("white", 255)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("L", (16, 16), level).save(tmp_path / "photos" / name / f"{number}.png")
    run, _ = trained(tmp_path / "photos")
    assert "nan" not in (run / "metrics.jsonl").read_text().lower()


def test_i23_a_folder_called_like_a_picture_is_a_folder(trained, tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name / "more.jpg").mkdir(parents=True)
        for number in range(8):
            picture(seed=number).save(tmp_path / "photos" / name / "more.jpg" / f"{number}.png")
    run, _ = trained(tmp_path / "photos")
    assert "cats/more.jpg/0.png" in (run / "files.csv").read_text()


def test_i26_where_a_picture_was_taken_is_neither_kept_nor_told(trained, tmp_path: Path, capsys) -> None:
    secret = "Unter den Linden 77"
    exif = Image.Exif()
    exif[0x010E] = secret
    exif.get_ifd(0x8825)[0x001D] = secret
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            picture(seed=number).save(tmp_path / "photos" / name / f"{number}.jpg", exif=exif)
    one = tmp_path / "photos" / "cats" / "0.jpg"
    assert secret.encode() in one.read_bytes()
    run, err = trained(tmp_path / "photos")
    assert main(["predict", str(run), str(one), "--json"]) == 0
    out = capsys.readouterr().out
    kept = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    for told in (kept, out.encode(), err.encode()):
        assert secret.encode() not in told


def test_odd_metadata_is_not_complained_of_beside_our_messages(tmp_path: Path, make_spec, save_untrained) -> None:
    data = bytearray(encoded(picture(), "TIFF"))
    rows_per_strip = data.index(struct.pack("<HH", 278, 4)) + 4
    data[rows_per_strip : rows_per_strip + 4] = struct.pack("<I", 2**20)
    (tmp_path / "odd.tif").write_bytes(data)
    with pytest.warns(UserWarning, match="larger than file"), Image.open(tmp_path / "odd.tif") as opened:
        opened.getexif()
    model = save_untrained(make_spec(channels=3, side=16, classes=2))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main(["predict", str(model), str(tmp_path / "odd.tif"), "--device", "cpu"]) in (0, 3)
    assert told == []
