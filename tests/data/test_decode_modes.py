"""What a picture's mode means: grey, colour, bits a value, the frame and the side that is up."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from striate.core.errors import DataError
from striate.data.decode import decode

from .picture_bytes import encoded, pixels_of, random_picture, spec_of


def test_decoding_a_file_equals_decoding_its_bytes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(random_picture(30, 50), "PNG"))
    assert np.array_equal(decode(path, spec_of()), decode(path.read_bytes(), spec_of()))


def test_a_png_named_jpg_is_accepted(tmp_path):
    picture = random_picture()
    path = tmp_path / "really.jpg"
    path.write_bytes(encoded(picture, "PNG"))
    assert np.array_equal(decode(path, spec_of()), np.asarray(picture))


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "BMP", "TIFF"])
def test_lossless_formats_give_back_their_pixels(format_):
    picture = random_picture()
    options = {"lossless": True} if format_ == "WEBP" else {}
    assert np.array_equal(pixels_of(encoded(picture, format_, **options)), np.asarray(picture))


def test_grey_is_made_with_pils_luma():
    picture = random_picture()
    assert np.array_equal(pixels_of(encoded(picture, "PNG"), 1)[:, :, 0], np.asarray(picture.convert("L")))


def test_grey_pictures_become_three_equal_channels():
    picture = random_picture().convert("L")
    assert np.array_equal(pixels_of(encoded(picture, "PNG")), np.asarray(picture)[:, :, None].repeat(3, 2))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_bit_pictures_become_black_and_white(format_, channels):
    bits = np.random.default_rng(1).integers(0, 2, (16, 16)).astype(bool)
    ours = pixels_of(encoded(Image.fromarray(bits), format_), channels)
    assert np.array_equal(ours[:, :, 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_to_rgb(format_):
    cyan, magenta, yellow, black = 200, 30, 90, 40
    data = encoded(Image.new("CMYK", (16, 16), (cyan, magenta, yellow, black)), format_)
    expected = [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]
    np.testing.assert_allclose(pixels_of(data)[8, 8], expected, atol=3)


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sixteen_bit_ramp_is_scaled_and_not_clipped(format_, channels):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    ours = pixels_of(encoded(Image.fromarray(ramp), format_), channels)
    assert len(np.unique(ours)) >= 250
    assert np.array_equal(ours[:, :, 0], np.round(ramp / 257))


def test_big_endian_sixteen_bit_tiff_is_scaled_alike():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = Image.frombytes("I;16B", (256, 256), ramp.astype(">u2").tobytes())
    data = encoded(picture, "TIFF")
    assert Image.open(io.BytesIO(data)).mode == "I;16B"
    assert np.array_equal(pixels_of(data, 1)[:, :, 0], np.round(ramp / 257))


def test_floating_point_pictures_on_0_to_1_and_on_0_to_255_mean_the_same():
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for scale in (1, 255):
        ours = pixels_of(encoded(Image.fromarray(values * np.float32(scale)), "TIFF"), 1)
        np.testing.assert_allclose(ours[:, :, 0], values * 255, atol=0.51)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 1e6])
def test_floating_point_pictures_with_nan_or_outside_the_range_are_refused(bad):
    values = np.full((8, 8), 0.5, dtype=np.float32)
    values[3, 4] = bad
    with pytest.raises(DataError, match=r"scan\.tif"):
        decode(encoded(Image.fromarray(values), "TIFF"), spec_of(), "scan.tif")


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_used(format_):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    assert (pixels_of(data) == (255, 0, 0)).all()


# how a camera stores an upright picture, for each value of the EXIF tag Orientation
STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_all_exif_orientations_give_the_same_upright_picture(format_, orientation):
    rng = np.random.default_rng(3)
    upright = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1))
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[format_]
    ours = pixels_of(encoded(stored, format_, exif=exif, **options))
    np.testing.assert_allclose(ours.astype(int), np.asarray(upright).astype(int), atol=4 if format_ == "JPEG" else 0)


@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b""])
def test_broken_exif_is_ignored(exif):
    picture = random_picture()
    ours = pixels_of(encoded(picture, "JPEG", quality=95, exif=exif))
    assert np.array_equal(ours, pixels_of(encoded(picture, "JPEG", quality=95)))
