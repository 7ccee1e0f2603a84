"""The two pictures: aspect ratio kept, upright, transparency and grey as elsewhere; what is no picture is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.core.errors import DataError, SettingsError
from striate.style.pictures import open_source, pixels_at, size_at


def opened(source: object, side: int = 32, channels: int = 3) -> np.ndarray:
    picture, name = open_source(source, side, "content")
    return pixels_at(picture, side, channels, name)


def test_the_aspect_ratio_is_kept_and_the_longer_side_is_the_size(tmp_path: Path):
    Image.new("RGB", (100, 60), (10, 20, 30)).save(tmp_path / "wide.png")
    pixels = opened(tmp_path / "wide.png", 50)
    assert pixels.shape == (30, 50, 3)
    assert (pixels == (10, 20, 30)).all()
    assert opened(str(tmp_path / "wide.png"), 200).shape == (120, 200, 3)


def test_a_turned_photograph_is_upright(tmp_path: Path):
    picture = Image.new("RGB", (60, 30))
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert opened(tmp_path / "turned.jpg", 60).shape == (60, 30, 3)


def test_transparency_is_laid_on_white_and_grey_becomes_colour(tmp_path: Path):
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (opened(tmp_path / "clear.png") == 255).all()
    Image.new("L", (32, 32), 77).save(tmp_path / "grey.png")
    assert (opened(tmp_path / "grey.png") == 77).all()
    assert opened(tmp_path / "clear.png", channels=1).shape == (32, 32, 1)


def test_arrays_are_pictures_too():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    assert np.array_equal(opened(colour), colour)
    assert np.array_equal(opened(colour[:, :, 0])[:, :, 1], colour[:, :, 0])
    assert np.array_equal(opened(colour[:, :, :1])[:, :, 1], colour[:, :, 0])
    assert opened(np.dstack([colour, np.zeros((32, 24), np.uint8)])).min() == 255


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)],
    ids=["float", "empty", "two channels", "one axis"],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(DataError, match="is no picture: content"):
        opened(array)


def test_files_that_are_no_pictures_are_refused_by_name(tmp_path: Path):
    (tmp_path / "notes.png").write_text("once upon a time")
    with pytest.raises(DataError, match=r"not a picture of an allowed format.*notes\.png"):
        opened(tmp_path / "notes.png")
    with pytest.raises(DataError, match=r"picture not found.*missing\.jpg"):
        opened(tmp_path / "missing.jpg")
    with pytest.raises(DataError, match="not a regular file"):
        opened(tmp_path)
    with pytest.raises(SettingsError, match="is not a path"):
        opened(3)


def test_a_picture_of_a_few_rows_is_refused_before_anything_is_computed():
    picture, name = open_source(np.zeros((10, 400), np.uint8), 256, "style")
    with pytest.raises(DataError, match=r"400 × 10 pixels.*under 16 at --size 256: style"):
        size_at(picture, 256, name)
