"""Small changes of pictures against SciPy and NumPy, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from striate.explain.changes import blurred, brightened, by_distance, contrasted, noisy, rotated, shifted, usual_changes

NONE = torch.arange(3)


def images(channels: int = 3, height: int = 20, width: int = 26) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, channels, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("side", [8, 28, 32, 96, 224])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_strengths_ascend_and_the_neutral_one_changes_nothing(side, every):
    pictures = images(1, side, side)
    for change in usual_changes(side, every=every):
        assert list(change.strengths) == sorted(set(change.strengths))
        assert len(change.strengths) > 1
        same = change.apply(pictures, change.neutral, NONE)
        torch.testing.assert_close(same.float(), pictures.float(), atol=0.02, rtol=0)
        for strength in change.strengths:
            changed = change.apply(pictures, strength, NONE).float()
            assert changed.shape == pictures.shape
            assert 0 <= changed.min() <= changed.max() <= 255
            assert strength == change.neutral or not torch.allclose(changed, pictures.float(), atol=0.1)


def test_a_shift_moves_what_is_inside_to_the_right_and_down():
    pictures = images()
    moved = shifted(pictures, 3, 2)
    assert moved[:, :, 2:, 3:].equal(pictures[:, :, :-2, :-3])
    assert moved[:, :, :2].equal(moved[:, :, 2:4].flip(2)), "mirrored at the edge"


def test_a_quarter_turn_is_numpys():
    pictures = images(3, 20, 20)
    turned = rotated(pictures, 90, NONE)
    expected = np.rot90(pictures.numpy(), axes=(2, 3)).copy()
    torch.testing.assert_close(turned, torch.from_numpy(expected).float(), atol=1e-2, rtol=0)


def test_brightness_and_contrast_are_affine():
    pictures = images(1).float() / 4 + 90
    torch.testing.assert_close(brightened(pictures, 1.25, NONE), pictures * 1.25)
    mean = pictures.mean((2, 3), keepdim=True)
    torch.testing.assert_close(contrasted(pictures, 1.6, NONE), mean + 1.6 * (pictures - mean))


@pytest.mark.parametrize("width", [0.3, 0.88, 2.0])
def test_blur_is_scipys_gaussian(width):
    pictures = images().double().numpy()
    radius = max(1, round(3 * width))
    expected = ndimage.gaussian_filter(pictures, (0, 0, width, width), mode="mirror", radius=(0, 0, radius, radius))
    np.testing.assert_allclose(blurred(images(), width, NONE).numpy(), expected, atol=1e-3)


def test_noise_is_each_pictures_own_and_grows_with_its_strength():
    grey = torch.full((2, 1, 60, 60), 128, dtype=torch.uint8)
    noise = noisy(grey, 16, torch.tensor([5, 9])) - 128
    assert noise.std().item() == pytest.approx(16, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.6)
    assert not noise[0].equal(noise[1])
    torch.testing.assert_close(noisy(grey[:1], 8, torch.tensor([9]))[0] - 128, noise[1] / 2)


def test_the_mildest_strengths_come_first():
    rotation = usual_changes(28, every=2)[2]
    assert [rotation.strengths[place] for place in by_distance(rotation)] == [-10, 10, -30, 30]
    assert rotation.written(-10) == "−10°"
    assert rotation.written(10) == "+10°"
