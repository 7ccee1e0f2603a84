"""Plain JPEGs: pixel for pixel what Pillow makes of the same bytes, and nothing where Pillow has to look."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.data.jpeg import decode_plain

LIMITS = {"most": 10_000, "below": 100}


def encoded(seed: int, height: int, width: int, mode: str = "RGB", **options: object) -> bytes:
    """Return a JPEG of soft colours with some noise."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((width, height))
    noisy = np.clip(np.asarray(soft) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    mode=st.sampled_from(["RGB", "L"]),
    quality=st.integers(1, 100),
    subsampling=st.integers(0, 2),
    progressive=st.booleans(),
    optimize=st.booleans(),
    restart=st.integers(0, 3),
)
def test_pixels_are_pillows(seed, height, width, mode, quality, subsampling, progressive, optimize, restart) -> None:
    options = {"quality": quality, "progressive": progressive, "optimize": optimize, "restart_marker_blocks": restart}
    data = encoded(seed, height, width, mode, subsampling=subsampling, **options)
    pixels = decode_plain(data, **LIMITS)
    assert pixels is not None
    assert pixels.shape == (height, width, 3 if mode == "RGB" else 1)
    assert np.array_equal(pixels, by_pillow(data))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_of_damaged_bytes_come_pillows_pixels_or_nothing(seed: int, where: int, change: int, cut: bool) -> None:
    data = bytearray(encoded(seed, 24, 32, progressive=seed % 2 == 1))
    data[where % len(data)] ^= change
    damaged = bytes(data[: where % len(data)]) if cut else bytes(data)
    pixels = decode_plain(damaged, **LIMITS)
    if pixels is not None:
        assert np.array_equal(pixels, by_pillow(damaged))


def test_what_is_not_plain_is_left_to_pillow() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    plain = encoded(0, 16, 16)
    assert decode_plain(plain, **LIMITS) is not None
    assert decode_plain(encoded(0, 16, 16, exif=turned), **LIMITS) is None
    assert decode_plain(encoded(0, 16, 16, "CMYK"), **LIMITS) is None
    assert decode_plain(encoded(0, 16, 16, keep_rgb=True), **LIMITS) is None
    assert decode_plain(plain[:-20], **LIMITS) is None
    assert decode_plain(b"", **LIMITS) is None
    assert decode_plain(b"\xff\xd8\xff", **LIMITS) is None
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    assert decode_plain(buffer.getvalue(), **LIMITS) is None


@pytest.mark.parametrize(("limits", "decoded"), [((256, 17), True), ((255, 17), False), ((256, 16), False)])
def test_nothing_is_decoded_beyond_the_limits(limits: tuple[int, int], decoded: bool) -> None:
    assert (decode_plain(encoded(1, 16, 16), *limits) is not None) is decoded
