"""Transparent pictures are composited on the background that the spec states."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from striate.data.decode import decode

from .picture_bytes import encoded, pixels_of, spec_of, translucent


def composite(layer: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    values = np.asarray(layer.convert("RGBA")).astype(float)
    alpha = values[:, :, 3:] / 255
    return values[:, :, :3] * alpha + np.array(background) * (1 - alpha)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 60)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_translucent_pictures_are_composited_on_the_stated_background(format_, mode, background):
    layer = translucent().convert(mode)
    ours = pixels_of(encoded(layer, format_), background=background)
    np.testing.assert_allclose(ours, composite(layer, background), atol=1)


def test_the_specs_background_is_used_for_grey_pictures_too():
    layer = Image.new("LA", (16, 16), (0, 0))
    assert (decode(encoded(layer, "PNG"), spec_of(1, background=(40, 40, 40))) == 40).all()


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


@pytest.mark.parametrize(("mode", "colour"), [("LA", (100, 128)), ("RGBA", (100, 60, 20, 128))])
def test_tiffs_with_premultiplied_alpha_are_composited(mode, colour):
    data = bytearray(encoded(Image.new(mode, (4, 4), colour), "TIFF"))
    extra_samples = data.find(b"\x52\x01\x03\x00")
    data[extra_samples + 8] = 1  # associated alpha: the colours are already multiplied by it
    expected = [value + 255 * (1 - 128 / 255) for value in (colour[:3] if mode == "RGBA" else colour[:1] * 3)]
    np.testing.assert_allclose(pixels_of(bytes(data))[0, 0], expected, atol=1.5)
    assert pixels_of(bytes(data), 1).shape == (4, 4, 1)
