"""Pictures are brought to size as PIL does it; large JPEGs are read smaller."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.Image import Resampling

from striate.core.spec import ImageSpec
from striate.data.decode import decode, fit, open_picture, to_pixels

from .picture_bytes import encoded, random_picture, spec_of

FILTERS = {
    "nearest": Resampling.NEAREST,
    "box": Resampling.BOX,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}
SIZES = [(40, 60), (60, 40), (37, 37), (10, 90), (5, 7), (24, 32)]


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (3, 2), (24, 24), (100, 101)])
def test_every_picture_comes_out_at_the_wanted_size(height, width, channels, resize):
    pixels = np.full((height, width, channels), 77, np.uint8)
    ours = fit(pixels, 24, 24, resize, "bicubic")
    assert ours.shape == (24, 24, channels)
    assert ours.dtype == np.uint8
    if resize != "pad":
        assert (ours == 77).all()


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_a_picture_of_the_wanted_size_is_left_as_it_is(resize):
    pixels = np.asarray(random_picture(24, 32))
    assert np.array_equal(fit(pixels, 24, 32, resize, "lanczos"), pixels)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_crop_equals_pils_centred_fit(height, width, interpolation):
    picture = random_picture(height, width)
    ours = fit(np.asarray(picture), 24, 32, "crop", interpolation)
    assert np.array_equal(ours, np.asarray(ImageOps.fit(picture, (32, 24), FILTERS[interpolation])))


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_squash_equals_pils_resize(height, width, interpolation):
    picture = random_picture(height, width)
    ours = fit(np.asarray(picture), 24, 32, "squash", interpolation)
    assert np.array_equal(ours, np.asarray(picture.resize((32, 24), FILTERS[interpolation])))


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (37, 37), (30, 90), (6, 8), (48, 16)])
def test_pad_equals_pils_pad(height, width):
    picture = random_picture(height, width)
    ours = fit(np.asarray(picture), 24, 36, "pad", background=(9, 99, 199))
    theirs = ImageOps.pad(picture, (36, 24), Resampling.BILINEAR, color=(9, 99, 199))
    assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("height", range(1, 12))
def test_padding_is_centred_to_within_a_pixel(height):
    ours = fit(np.zeros((height, 12, 1), np.uint8), 12, 12, "pad")
    rows = np.flatnonzero(ours[:, :, 0].max(1) == 0)
    assert len(rows) == height
    assert abs(rows[0] - (11 - rows[-1])) <= 1


def test_decoding_goes_through_mode_and_size_of_the_spec(tmp_path):
    picture = random_picture(30, 50)
    ours = decode(encoded(picture, "PNG"), spec_of(1, 16, resize="squash", interpolation="lanczos"))
    theirs = picture.convert("L").resize((16, 16), Resampling.LANCZOS)
    assert np.array_equal(ours[:, :, 0], np.asarray(theirs))


def smooth(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height), 3)


def test_a_large_jpeg_comes_smaller_but_of_twice_the_wanted_size_or_more():
    data = encoded(smooth(800, 600), "JPEG", quality=95)
    sizes = {side: open_picture(data, "x", side).size for side in (16, 37, 38, 75, 76, 150, 151, 600, 2000)}
    full, half, quarter, eighth = (800, 600), (400, 300), (200, 150), (100, 75)
    assert sizes == {16: eighth, 37: eighth, 38: quarter, 75: quarter, 76: half, 150: half,
                     151: full, 600: full, 2000: full}  # fmt: skip
    assert open_picture(encoded(smooth(800, 600), "PNG"), "x", 16).size == full


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_jpeg_gives_nearly_the_pixels_of_its_full_size(resize, orientation, channels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(1200, 900), "JPEG", quality=95, exif=exif)
    spec = ImageSpec(channels=channels, height=48, width=40, classes=("a",), mean=(0,) * channels, std=(1,) * channels,
                     resize=resize)  # fmt: skip
    full = fit(to_pixels(open_picture(data, "x"), channels), 48, 40, resize)
    difference = np.abs(decode(data, spec).astype(int) - full)
    assert difference.mean() < 2  # of 255, in patches of noise; of photographs a tenth of that
    assert difference.max() <= 12
