"""One safe decoder: what a picture's mode means, and that nothing but a DataError comes out of bad bytes."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps
from PIL.Image import Resampling, Transpose

from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import MAX_PIXELS, decode, fit, open_picture, read_bytes, to_pixels


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def random_picture(height: int = 16, width: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def spec_of(channels: int = 3, side: int = 16, **changes: object) -> ImageSpec:
    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        classes=("a", "b"),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        **changes,
    )


def pixels_of(data: bytes, channels: int = 3, **options: object) -> np.ndarray:
    return to_pixels(open_picture(data, "picture"), channels, **options)


# What a picture's mode means


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


def composite(layer: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    values = np.asarray(layer.convert("RGBA")).astype(float)
    alpha = values[:, :, 3:] / 255
    return values[:, :, :3] * alpha + np.array(background) * (1 - alpha)


def translucent() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (16, 16, 4), dtype=np.uint8))


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 60)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_translucent_pictures_are_composited_on_the_stated_background(format_, mode, background):
    layer = translucent().convert(mode)
    ours = pixels_of(encoded(layer, format_), background=background)
    np.testing.assert_allclose(ours, composite(layer, background), atol=1)


@pytest.mark.parametrize(("mode", "colour"), [("LA", (100, 128)), ("RGBA", (100, 60, 20, 128))])
def test_tiffs_with_premultiplied_alpha_are_composited(mode, colour):
    data = bytearray(encoded(Image.new(mode, (4, 4), colour), "TIFF"))
    extra_samples = data.find(b"\x52\x01\x03\x00")
    data[extra_samples + 8] = 1  # associated alpha: the colours are already multiplied by it
    expected = [value + 255 * (1 - 128 / 255) for value in (colour[:3] if mode == "RGBA" else colour[:1] * 3)]
    np.testing.assert_allclose(pixels_of(bytes(data))[0, 0], expected, atol=1.5)
    assert pixels_of(bytes(data), 1).shape == (4, 4, 1)


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_a_palettes_transparent_colour_shows_the_background(format_):
    picture = Image.new("P", (4, 2))
    picture.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    picture.putdata([0, 1, 1, 0, 1, 1, 0, 0])
    ours = pixels_of(encoded(picture, format_, transparency=1), background=(9, 99, 199))
    red, behind = [255, 0, 0], [9, 99, 199]
    assert ours.tolist() == [[red, behind, behind, red], [behind, behind, red, red]]


def test_the_transparent_colour_of_a_grey_png_shows_the_background():
    picture = Image.fromarray(np.array([[7, 50], [50, 7]], dtype=np.uint8))
    ours = pixels_of(encoded(picture, "PNG", transparency=7), 1, background=(200, 200, 200))
    assert ours[:, :, 0].tolist() == [[200, 50], [50, 200]]


def test_the_specs_background_is_used_for_grey_pictures_too():
    layer = Image.new("LA", (16, 16), (0, 0))
    assert (decode(encoded(layer, "PNG"), spec_of(1, background=(40, 40, 40))) == 40).all()


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_to_rgb(format_):
    cyan, magenta, yellow, black = 200, 30, 90, 40
    data = encoded(Image.new("CMYK", (16, 16), (cyan, magenta, yellow, black)), format_)
    expected = [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]
    np.testing.assert_allclose(pixels_of(data)[8, 8], expected, atol=3)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_bit_pictures_become_black_and_white(format_, channels):
    bits = np.random.default_rng(1).integers(0, 2, (16, 16)).astype(bool)
    ours = pixels_of(encoded(Image.fromarray(bits), format_), channels)
    assert np.array_equal(ours[:, :, 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_used(format_):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    assert (pixels_of(data) == (255, 0, 0)).all()


# What is refused


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


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


def test_a_png_named_jpg_is_accepted(tmp_path):
    picture = random_picture()
    path = tmp_path / "really.jpg"
    path.write_bytes(encoded(picture, "PNG"))
    assert np.array_equal(decode(path, spec_of()), np.asarray(picture))


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


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    error = refused_without_blocking(path)
    assert error.where == str(path)
    assert "regular file" in error.what
    assert error.fix


def test_a_folder_and_a_device_are_refused(tmp_path):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    for path in (folder, Path("/dev/zero")):
        error = refused_without_blocking(path)
        assert error.where == str(path)
        assert "regular file" in error.what


def test_a_missing_file_and_a_link_in_a_circle_are_named(tmp_path):
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    for path in (tmp_path / "missing.jpg", circle):
        error = refused_without_blocking(path)
        assert error.where == str(path)
        assert error.fix


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        # half of the damage hits the headers, where it does most
        place = int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 100)))
        match rng.integers(5):
            case 0:
                content[place] = rng.integers(256)
            case 1:
                content[place] ^= 1 << int(rng.integers(8))
            case 2:
                del content[place : place + int(rng.integers(1, 9))]
            case 3:
                content[place:place] = rng.integers(0, 256, 3, dtype=np.uint8).tobytes()
            case 4:
                del content[max(place, 1) :]
        if not content:
            return b"\0"
    return with_checksums(bytes(content)) if data.startswith(b"\x89PNG") else bytes(content)


def with_checksums(data: bytes) -> bytes:
    """Return a damaged PNG with right checksums, so that the damage gets past them."""
    content, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + length > len(data):
            break
        content += png_chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length])
        place += 12 + length
    return bytes(content + data[place:])


def originals() -> dict[str, bytes]:
    picture = random_picture()
    palette = picture.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpeg": encoded(picture, "JPEG", exif=exif),
        "progressive jpeg": encoded(picture.convert("L"), "JPEG", progressive=True),
        "cmyk jpeg": encoded(picture.convert("CMYK"), "JPEG"),
        "png": encoded(picture, "PNG", exif=exif),
        "palette png": encoded(palette, "PNG", transparency=3),
        "grey png": encoded(picture.convert("L"), "PNG", transparency=7),
        "rgba png": encoded(translucent(), "PNG"),
        "16-bit png": encoded(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257), "PNG"),
        "gif": encoded(palette, "GIF", transparency=2),
        "animated gif": encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]),
        "bmp": encoded(picture, "BMP"),
        "webp": encoded(picture, "WEBP"),
    }


@pytest.mark.parametrize("kind", originals())
def test_damaged_bytes_give_a_picture_or_a_data_error_and_nothing_else(kind):
    original, rng = originals()[kind], np.random.default_rng(17)
    refused: list[DataError] = []
    for number in range(120):
        data = mutated(original, rng)
        try:
            pixels = decode(data, spec_of(1 + 2 * (number % 2), 8), "upload")
            assert pixels.shape == (8, 8, 1 + 2 * (number % 2))
            assert pixels.dtype == np.uint8
        except DataError as error:
            refused.append(error)
    assert len(refused) > 10
    assert all(error.where == "upload" and error.fix for error in refused)


# Bringing pictures to size

FILTERS = {
    "nearest": Resampling.NEAREST,
    "box": Resampling.BOX,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}
SIZES = [(40, 60), (60, 40), (37, 37), (10, 90), (5, 7), (24, 32)]


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


def test_decoding_a_file_equals_decoding_its_bytes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(random_picture(30, 50), "PNG"))
    assert np.array_equal(decode(path, spec_of()), decode(path.read_bytes(), spec_of()))


def test_decoding_goes_through_mode_and_size_of_the_spec(tmp_path):
    picture = random_picture(30, 50)
    ours = decode(encoded(picture, "PNG"), spec_of(1, 16, resize="squash", interpolation="lanczos"))
    theirs = picture.convert("L").resize((16, 16), Resampling.LANCZOS)
    assert np.array_equal(ours[:, :, 0], np.asarray(theirs))


# Large JPEGs


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
