"""The hashes are those of their definitions, and stay when a picture is saved again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image

from striate.data.audit.perceptual import brightness, dct_hash, difference_hash, fine_detail

from .making import brighter, photographs, resized_and_back, saved_again


def bits_of(codes: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes[:, None].view(np.uint8), axis=1).astype(bool)


@pytest.mark.parametrize("shape", [(32, 32), (28, 28), (40, 56), (8, 8)])
def test_the_dct_hash_is_that_of_scipys_transform(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).uniform(0, 255, (20, *shape))
    lowest = scipy.fft.dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(20, 64)
    expected = lowest > np.median(lowest, axis=1, keepdims=True)
    found = bits_of(dct_hash(torch.from_numpy(grey).float()))
    np.testing.assert_array_equal(found, expected)
    assert (found.sum(1) == 32).all()


def test_fine_detail_is_the_variance_beyond_the_lowest_frequencies() -> None:
    grey = np.random.default_rng(3).uniform(0, 255, (5, 32, 40))
    energy = scipy.fft.dctn(grey, axes=(1, 2), norm="ortho") ** 2
    variance = energy.sum((1, 2)) - energy[:, 0, 0]
    expected = 1 - (energy[:, :16, :16].sum((1, 2)) - energy[:, 0, 0]) / variance
    np.testing.assert_allclose(fine_detail(torch.from_numpy(grey).float(), 16).numpy(), expected, atol=1e-4)


def test_the_difference_hash_says_where_the_next_cell_is_brighter() -> None:
    grey = np.random.default_rng(2).uniform(0, 255, (20, 32, 36))
    cells = grey.reshape(20, 8, 4, 9, 4).mean((2, 4))
    expected = np.diff(cells, axis=2) > 2
    np.testing.assert_array_equal(bits_of(difference_hash(torch.from_numpy(grey).float())), expected.reshape(20, 64))


def test_brightness_is_pillows_and_averaged_by_a_whole_factor() -> None:
    pictures = photographs(3, side=96)
    expected = np.stack([np.asarray(Image.fromarray(p).convert("L"), float) for p in pictures])
    expected = expected.reshape(3, 32, 3, 32, 3).mean((2, 4))
    found = brightness(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert found.shape == (3, 32, 32)
    np.testing.assert_allclose(found.numpy(), expected, atol=0.6)
    grey = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(brightness(grey), grey[:, 0].float())


def test_copies_have_nearly_the_same_hash_and_other_pictures_have_not() -> None:
    pictures = photographs(40)

    def codes(array: np.ndarray) -> np.ndarray:
        return dct_hash(brightness(torch.from_numpy(array.copy()).permute(0, 3, 1, 2)))

    own = codes(pictures)
    for change in (
        lambda p: saved_again(p, 40),
        lambda p: resized_and_back(p, 40),
        lambda p: brighter(p, 0.85, 25),
    ):
        distances = np.bitwise_count(own ^ codes(np.stack([change(p) for p in pictures])))
        assert distances.max() <= 6
    apart = np.bitwise_count(own[:, None] ^ own[None])[~np.eye(40, dtype=bool)]
    assert apart.min() > 8
