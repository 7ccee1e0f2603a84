"""Normalisation: by the data, by each picture as TensorFlow does, or only to 0 … 1 as torchvision's ToTensor does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import ToTensor

from striate.core.spec import ImageSpec
from striate.data.loader import normalize, whiten


def spec_of(channels: int, side: int, **changes) -> ImageSpec:
    values = {
        "channels": channels, "height": side, "width": side, "classes": ("a", "b"),
        "mean": (0.5,) * channels, "std": (0.25,) * channels,
    }  # fmt: skip
    return ImageSpec(**{**values, **changes})


def pictures(count: int, channels: int, side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def standardized(image: np.ndarray) -> np.ndarray:
    """Return (x − mean) / max(std, 1/√n) in double precision."""
    values = image.astype(np.float64)
    return (values - values.mean()) / max(values.std(), 1 / math.sqrt(values.size))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 24, 120])
def test_a_whitened_picture_has_its_own_mean_and_deviation_taken_out(channels, side):
    images = pictures(4, channels, side)
    images[1] = images[1] // 16 + 200  # bright and flat
    images[2, :, 0, 0] = 255
    whitened = normalize(torch.from_numpy(images), spec_of(channels, side, whiten=True))
    expected = np.stack([standardized(image) for image in images])
    np.testing.assert_allclose(whitened.numpy(), expected, atol=2e-6, rtol=2e-6)
    assert whitened.dtype == torch.float32
    assert whitened.is_contiguous(memory_format=torch.channels_last)
    floats = normalize(torch.from_numpy(images).float() + 0.25, spec_of(channels, side, whiten=True))
    np.testing.assert_allclose(floats.numpy(), expected, atol=1e-4)  # the same pictures, a quarter level brighter


def test_the_example_of_tensorflows_own_documentation():
    image = torch.arange(1, 13).reshape(2, 2, 3).permute(2, 0, 1)[None]  # N C H W of a 2 × 2 × 3 picture
    published = [-1.593255, -1.3035723, -1.0138896, -0.7242068, -0.4345241, -0.14484136]
    for pixels in (image.byte(), image.float()):
        ours = whiten(pixels)[0].permute(1, 2, 0).flatten()
        np.testing.assert_allclose(ours[:6].numpy(), published, rtol=1e-6)
        np.testing.assert_allclose(ours[6:].flip(0).numpy(), -np.array(published), rtol=1e-6)


@pytest.mark.parametrize("level", [0, 1, 77, 255])
def test_a_uniform_picture_becomes_zeros_and_a_nearly_uniform_one_stays_finite(level):
    for kind in (torch.uint8, torch.float32):
        image = torch.full((2, 3, 33, 31), level, dtype=kind)
        assert torch.equal(whiten(image), torch.zeros(2, 3, 33, 31))
        for change in (1, -1):
            image[:, :, 1:, :] = max(min(level + change, 255), 0)
            assert bool(torch.isfinite(whiten(image)).all())
            image[:, :, 1:, :] = level
            image[0, 0, 0, 0] = max(min(level + change, 255), 0)
            expected = standardized(image[0].numpy())
            # a float32 near 255 knows its mean to 1.5e-5, and here that is divided by 0.018
            close = 1e-6 if kind == torch.uint8 else 1e-3
            np.testing.assert_allclose(whiten(image)[0].numpy(), expected, rtol=1e-4, atol=close)


def test_a_whitened_picture_does_not_depend_on_its_batch_by_a_single_bit():
    images = torch.from_numpy(pictures(6, 3, 150))
    spec = spec_of(3, 150, whiten=True)
    together = normalize(images, spec)
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for place in range(6):
                assert torch.equal(normalize(images[place : place + 1], spec)[0], together[place])
        finally:
            torch.set_num_threads(before)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_mean_and_deviation_inputs_are_totensors_bit_for_bit(channels):
    images = pictures(3, channels, 20)
    images[0].flat[:256] = np.arange(256)
    spec = spec_of(channels, 20, mean=(0.0,) * channels, std=(1.0,) * channels)
    ours = normalize(torch.from_numpy(images), spec)
    theirs = torch.stack([ToTensor()(image.transpose(1, 2, 0)) for image in images])
    assert torch.equal(ours, theirs)
    assert torch.equal(normalize(torch.from_numpy(images).float(), spec), theirs)
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_scaling_alone_gives_the_same_bits_on_cuda_and_whitening_nearly_so(kind):
    images = torch.arange(256).byte().repeat(3 * 32).reshape(8, 3, 32, 32).to(kind)
    raw, white = (spec_of(3, 32, mean=(0.0,) * 3, std=(1.0,) * 3), spec_of(3, 32, whiten=True))
    assert torch.equal(normalize(images.cuda(), raw).cpu(), normalize(images, raw))
    torch.testing.assert_close(normalize(images.cuda(), white).cpu(), normalize(images, white), rtol=1e-6, atol=1e-6)
