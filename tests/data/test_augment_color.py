"""Brightness, contrast, saturation and hue against torchvision, and their composition against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from striate.core.settings import AugmentSettings
from striate.data.augment.color import Color, apply_color, draw_color

CLOSE = 0.02  # of 255


def pictures(count: int = 3, channels: int = 3, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, channels, 11, 9), dtype=np.uint8))


def change(count: int = 3, brightness: float = 1, contrast: float = 1, saturation: float = 1, hue: float = 0) -> Color:
    return Color(*(torch.full((count,), float(value)) for value in (brightness, contrast, saturation, hue)))


def assert_close(ours: Tensor, theirs: Tensor, atol: float = CLOSE) -> None:
    torch.testing.assert_close(ours, theirs.float(), rtol=0, atol=atol)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_brightness_equals_torchvisions(factor, channels):
    images = pictures(channels=channels)
    theirs = 255 * tv.adjust_brightness(images / 255, factor)
    assert_close(apply_color(images, change(brightness=factor)), theirs)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_contrast_equals_torchvisions(factor, channels):
    images = pictures(channels=channels)
    theirs = torch.stack([255 * tv.adjust_contrast(image / 255, factor) for image in images])
    assert_close(apply_color(images, change(contrast=factor)), theirs)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_saturation_equals_torchvisions(factor):
    images = pictures()
    theirs = 255 * tv.adjust_saturation(images / 255, factor)
    assert_close(apply_color(images, change(saturation=factor)), theirs)


@pytest.mark.parametrize("turn", [1 / 3, -1 / 3])
def test_a_third_of_a_hue_turn_equals_torchvisions(turn):
    images = pictures()
    theirs = 255 * tv.adjust_hue(images / 255, turn)
    assert_close(apply_color(images, change(hue=turn)), theirs)


def test_a_third_of_a_hue_turn_sends_red_to_green_to_blue():
    primaries = 255 * torch.eye(3)[:, :, None, None]
    assert_close(apply_color(primaries, change(hue=1 / 3)), primaries.roll(-1, 0))


def test_a_full_hue_turn_in_two_halves_changes_nothing():
    # muted colours, so that the first half is not clamped
    images = 110 + pictures() / 255 * 30
    half = apply_color(images, change(hue=0.5))
    assert_close(apply_color(half, change(hue=0.5)), images)


@given(grey=st.integers(0, 255), turn=st.floats(-0.5, 0.5, width=32))
@settings(deadline=None, max_examples=50)
def test_grey_is_unchanged_by_any_hue(grey, turn):
    images = torch.full((1, 3, 2, 2), grey, dtype=torch.uint8)
    assert_close(apply_color(images, change(1, hue=turn)), images)


def test_saturation_and_hue_leave_grey_pictures_alone():
    images = pictures(channels=1)
    assert_close(apply_color(images, change(saturation=0.2, hue=0.4)), images)


@given(
    factors=st.tuples(*[st.floats(0, 2, width=32)] * 3),
    turn=st.floats(-0.5, 0.5, width=32),
)
@settings(deadline=None, max_examples=60)
def test_one_matrix_equals_brightness_contrast_saturation_hue_in_turn(factors, turn):
    brightness, contrast, saturation = factors
    images = pictures(2)
    pixels = images.numpy().astype(np.float64)
    luma = np.array([0.2989, 0.587, 0.114])[None, :, None, None]
    pixels = brightness * pixels
    mean_grey = (luma * pixels).sum(1, keepdims=True).mean((2, 3), keepdims=True)
    pixels = contrast * pixels + (1 - contrast) * mean_grey
    pixels = saturation * pixels + (1 - saturation) * (luma * pixels).sum(1, keepdims=True)
    # a rotation about (1, 1, 1) in colour space: the part along the axis stays, the rest turns
    along = pixels.mean(1, keepdims=True)
    across = pixels - along
    axis = np.ones(3) / np.sqrt(3)
    turned = np.cross(axis, np.moveaxis(across, 1, -1))
    angle = 2 * np.pi * turn
    pixels = along + np.cos(angle) * across + np.sin(angle) * np.moveaxis(turned, -1, 1)
    ours = apply_color(images, change(2, brightness, contrast, saturation, turn))
    np.testing.assert_allclose(ours.numpy(), pixels.clip(0, 255), rtol=0, atol=0.05)


def test_each_sample_has_its_own_parameters():
    images = pictures(3)
    color = Color(torch.tensor([0.5, 1.0, 1.0]), torch.tensor([1.0, 0.3, 1.0]), torch.tensor([1.0, 1.0, 0.0]),
                  torch.zeros(3))  # fmt: skip
    theirs = [
        tv.adjust_brightness(images[0] / 255, 0.5),
        tv.adjust_contrast(images[1] / 255, 0.3),
        tv.adjust_saturation(images[2] / 255, 0.0),
    ]
    assert_close(apply_color(images, color), 255 * torch.stack(theirs))


def test_the_result_is_clamped_to_the_range_of_pixels():
    images = pictures()
    changed = apply_color(images, change(brightness=1.9, contrast=1.9, saturation=1.9, hue=0.2))
    assert changed.min() == 0
    assert changed.max() == 255


def test_clamping_happens_once_at_the_end():
    # twice as bright, then half the contrast: a picture clamped in between would have lost its bright pixels
    images = torch.tensor([100.0, 200.0]).reshape(1, 1, 1, 2)
    assert_close(
        apply_color(images, change(1, brightness=2, contrast=0.25)), torch.tensor([[[[275.0, 325.0]]]]).clamp(max=255)
    )
    assert_close(apply_color(images, change(1, brightness=1.5, contrast=0.1)), torch.tensor([[[[217.5, 232.5]]]]))


def test_the_input_is_not_changed():
    images = pictures().float()
    before = images.clone()
    apply_color(images, change(brightness=0.3, hue=0.1))
    assert torch.equal(images, before)


COLORFUL = AugmentSettings(brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1)


def test_nothing_is_drawn_where_no_colour_may_change():
    assert draw_color(AugmentSettings(), 0, 0, torch.arange(4)) is None


def test_draws_do_not_depend_on_the_batch_or_its_order():
    whole = draw_color(COLORFUL, 3, 1, torch.arange(10))
    order = torch.tensor([7, 2, 9, 0])
    part = draw_color(COLORFUL, 3, 1, order)
    for key, values in vars(whole).items():
        assert torch.equal(getattr(part, key), values[order])


def test_draws_are_uniform_over_the_stated_ranges():
    drawn = draw_color(COLORFUL, 0, 0, torch.arange(4000))
    for values, middle, swing in [
        (drawn.brightness, 1, 0.4),
        (drawn.contrast, 1, 0.3),
        (drawn.saturation, 1, 0.2),
        (drawn.hue, 0, 0.1),
    ]:
        assert (values - middle).abs().max() <= swing + 1e-6
        assert scipy.stats.kstest(values.numpy(), "uniform", (middle - swing, 2 * swing)).pvalue > 0.001
