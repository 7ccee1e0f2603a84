"""Every kind of picture gives its pixels; everything else is a DataError that names the picture and the rule."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from striate.core.errors import DataError
from striate.data import decode
from striate.deploy import pictures as module
from striate.deploy.pictures import picture_name, picture_pixels, several


@pytest.fixture
def spec(make_spec):
    return make_spec(channels=3, side=24)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """Return a picture of the network's own size: its pixels are what comes out."""
    Image.fromarray(noise(24, 24, 3)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


class BytesPath:
    """A path object that gives bytes, as os.fspath allows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self.path)


class Dripping(io.RawIOBase):
    """A file that gives three bytes at a time, as a socket may."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def read(self, size: int = -1) -> bytes:
        chunk, self.left = self.left[:3], self.left[3:]
        return chunk


def test_every_kind_of_picture_gives_its_own_pixels(spec, png: Path) -> None:
    data = png.read_bytes()
    array = noise(24, 24, 3)
    alpha = np.dstack([array, np.full((24, 24), 255, np.uint8)])
    with open(png, "rb") as opened, Image.open(png) as lazy:
        kinds = [
            png, str(png), BytesPath(png),
            data, bytearray(data), memoryview(data), io.BytesIO(data), Dripping(data), opened,
            Image.fromarray(array), lazy,
            array, np.asfortranarray(array), array[::-1][::-1], alpha,
            torch.from_numpy(array).permute(2, 0, 1), torch.from_numpy(alpha).permute(2, 0, 1),
        ]  # fmt: skip
        for kind in kinds:
            np.testing.assert_array_equal(picture_pixels(kind, spec, "x"), array)


def test_grey_pictures_of_any_layout_are_the_same(spec) -> None:
    grey = noise(24, 24)
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    for kind in (grey, grey[:, :, None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        np.testing.assert_array_equal(picture_pixels(kind, spec, "x"), expected)


def closed(image: Image.Image) -> Image.Image:
    image.close()
    return image


def cut_off() -> Image.Image:
    whole = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(whole, "PNG")
    return Image.open(io.BytesIO(whole.getvalue()[:2000]))


def closed_file() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


def released() -> memoryview:
    view = memoryview(b"x")
    view.release()
    return view


WRONG = {
    "None": lambda: None,
    "int": lambda: 12,
    "NumPy scalar": lambda: np.uint8(3),
    "list": lambda: [[1, 2], [3, 4]],
    "function": lambda: len,
    "0 × 5 PIL": lambda: Image.new("L", (0, 5)),
    "PIL over the limit": lambda: Image.new("1", (8001, 8001)),
    "closed PIL": lambda: closed(Image.new("RGB", (9, 9))),
    "cut-off PIL": cut_off,
    "float PIL with NaN": lambda: Image.fromarray(np.full((9, 9), np.nan, np.float32)),
    "integer PIL below 0": lambda: Image.new("I", (9, 9), -4),
    "float": lambda: np.zeros((24, 24, 3), np.float32),
    "float over 1": lambda: np.full((24, 24), 300.0),
    "NaN": lambda: np.full((24, 24), np.nan),
    "complex": lambda: np.zeros((24, 24), complex),
    "bool": lambda: np.zeros((24, 24), bool),
    "int64": lambda: np.full((24, 24), 7),
    "int8": lambda: np.zeros((24, 24), np.int8),
    "object": lambda: np.array([[None, 2]], object),
    "text": lambda: np.zeros((24, 24), "U3"),
    "dates": lambda: np.zeros((24, 24), "M8[s]"),
    "records": lambda: np.zeros((24, 24), [("a", "u1")]),
    "0-d": lambda: np.array(3, np.uint8),
    "1-d": lambda: np.zeros(24, np.uint8),
    "5-d": lambda: np.zeros((1, 1, 1, 24, 24), np.uint8),
    "2 channels": lambda: np.zeros((24, 24, 2), np.uint8),
    "5 channels": lambda: np.zeros((24, 24, 5), np.uint8),
    "C H W array": lambda: np.zeros((3, 24, 25), np.uint8),
    "no pixels": lambda: np.zeros((0, 24, 3), np.uint8),
    "array over the limit": lambda: np.broadcast_to(np.uint8(0), (10**5, 10**5)),
    "float tensor": lambda: torch.zeros(3, 24, 24),
    "bf16 tensor": lambda: torch.zeros(24, 24, dtype=torch.bfloat16),
    "bool tensor": lambda: torch.zeros(24, 24, dtype=torch.bool),
    "H W C tensor": lambda: torch.zeros(24, 25, 3, dtype=torch.uint8),
    "2-channel tensor": lambda: torch.zeros(2, 24, 24, dtype=torch.uint8),
    "meta tensor": lambda: torch.zeros(24, 24, dtype=torch.uint8, device="meta"),
    "sparse tensor": lambda: torch.zeros(24, 24, dtype=torch.uint8).to_sparse(),
    "sparse batch": lambda: torch.ones(2, 3, 24, 24, dtype=torch.uint8).to_sparse(),
    "no bytes": lambda: b"",
    "bytes of no picture": lambda: b"not a picture",
    "released memoryview": released,
    "file at its end": io.BytesIO,
    "text file": lambda: io.StringIO("x"),
    "closed file": closed_file,
    "write-only file": lambda: io.BufferedWriter(io.BytesIO()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_raw_picture_is_refused_by_its_number_with_the_remedy(predictor, name: str) -> None:
    p = predictor()
    wrong = WRONG[name]()
    good = noise(24, 24, 3)
    with pytest.raises(DataError) as caught:
        p.predict([good, wrong])
    assert caught.value.fix
    assert "picture 1" in str(caught.value)
    if not isinstance(wrong, list):  # which alone is several pictures
        for refuse in (p.predict, p.inputs):
            with pytest.raises(DataError, match="picture 0"):
                refuse(WRONG[name]())
    outcomes = list(p.outcomes([good, WRONG[name](), good]))
    assert [isinstance(outcome, DataError) for outcome in outcomes] == [False, True, False]


@pytest.mark.parametrize(
    "odd", ["absent.png", "x" * 300, "~nouser/x", "a\0b", "x.png/below", "loop", "folder", "\ud800"]
)
def test_a_path_that_is_no_picture_is_refused_by_its_name(spec, png: Path, monkeypatch, odd: str) -> None:
    monkeypatch.chdir(png.parent)
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    for path in (odd, Path(odd)):
        with pytest.raises(DataError) as caught:
            picture_pixels(path, spec, "x")
        assert odd in str(caught.value)
        assert caught.value.fix


def test_a_folder_is_called_one(spec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder, not a picture"):
        picture_pixels(tmp_path, spec, "x")


@pytest.mark.parametrize("kind", [np.zeros((24, 24)), torch.zeros(24, 24)])
def test_numbers_of_another_type_are_told_the_rule(spec, kind) -> None:
    with pytest.raises(DataError, match=r"normalises by itself and needs raw uint8, 0 … 255"):
        picture_pixels(kind, spec, "x")


def test_broken_exif_says_nothing_about_the_pixels(spec) -> None:
    array = noise(24, 24, 3)
    picture = Image.fromarray(array)
    picture.info["exif"] = b"Exif\0\0garbage"
    np.testing.assert_array_equal(picture_pixels(picture, spec, "x"), array)


def test_a_file_is_read_no_further_than_the_limit(spec, png: Path, monkeypatch) -> None:
    size = png.stat().st_size
    monkeypatch.setattr(module, "MAX_BYTES", size)
    monkeypatch.setattr(decode, "MAX_BYTES", size)
    picture_pixels(io.BytesIO(png.read_bytes()), spec, "x")
    endless = io.BytesIO(png.read_bytes() + b"\0" * 1000)
    with pytest.raises(DataError, match="more than"):
        picture_pixels(endless, spec, "x")
    assert endless.tell() == size + 1


def test_one_picture_is_several_of_one() -> None:
    file = io.BytesIO(b"line 1\nline 2\n")
    for single in ("a.jpg", Path("a.jpg"), b"ab", bytearray(b"ab"), memoryview(b"ab"), file, noise(8, 8), None, 5):
        (only,) = several(single)
        assert only is single
    assert len(list(several(noise(5, 8, 8, 3)))) == 5
    assert list(several(iter(["a", "b"]))) == ["a", "b"]


def test_pictures_are_named_by_path_or_number() -> None:
    assert picture_name("a/b.jpg", 3) == picture_name(Path("a/b.jpg"), 3) == "a/b.jpg"
    assert picture_name(b"a/b.jpg", 3) == picture_name(noise(8, 8), 3) == "picture 3"
