"""The search for the picture on a small network of random weights: what it finds, and what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from striate.core.errors import DivergedError
from striate.style.losses import Losses
from striate.style.network import StyleNetwork
from striate.style.settings import StyleSettings
from striate.style.transfer import Transfer
from tests.style.looking import network, stripes

PLAIN, WAVES = stripes(24, 32, 40), stripes(32, 20, 6)
BOTH = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])


def run(looks: StyleNetwork | None = None, content=PLAIN, style=WAVES, **settings) -> Transfer:
    transfer = Transfer(looks or network(), content, style, StyleSettings.parse({"steps": 30, **settings}))
    for _ in transfer.steps():
        pass
    return transfer


@BOTH
def test_the_style_loss_falls_to_a_third(optimizer):
    transfer = run(optimizer=optimizer)
    first, last = transfer.losses[0], transfer.losses[-1]
    assert first.content == 0
    assert last.style < first.style / 3
    assert last.content < 1, "less than maps have in common with nothing"
    assert len(transfer.losses) == 31


@BOTH
def test_from_noise_both_losses_fall(optimizer):
    transfer = run(optimizer=optimizer, init="noise", style_weight=10, steps=60)
    first, last = transfer.losses[0], transfer.losses[-1]
    assert last.style < first.style / 3
    assert last.content < first.content / 1.5


@BOTH
def test_more_weight_on_the_content_keeps_more_of_it(optimizer):
    contents = [run(optimizer=optimizer, content_weight=weight).losses[-1].content for weight in (0.1, 100)]
    assert contents[1] < contents[0] / 3


def test_more_weight_on_the_variation_makes_it_smoother():
    variations = [run(tv_weight=weight).losses[-1].variation for weight in (0, 100)]
    assert variations[1] < variations[0]


@BOTH
def test_a_picture_in_its_own_style_has_no_losses_and_stays(optimizer):
    transfer = run(content=PLAIN, style=PLAIN, tv_weight=0, optimizer=optimizer)
    assert all((losses.content, losses.style) == (0, 0) for losses in transfer.losses)
    assert np.array_equal(transfer.picture(), PLAIN)


def test_what_is_measured_last_are_the_finished_pixels():
    """A second path: both pictures seen through the network's own stages, the sums in NumPy."""
    transfer = run(steps=5)
    looks = transfer.network

    def seen(pixels: np.ndarray) -> list[np.ndarray]:
        picture = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            maps = looks.maps(picture)
        return [maps[layer].double().numpy()[0] for layer in looks.style]

    def rms(maps: np.ndarray) -> np.ndarray:
        return np.sqrt((maps**2).mean())

    expected = 0.0
    for own, theirs in zip(seen(transfer.picture()), seen(WAVES), strict=True):
        a, g = (np.einsum("ihw,jhw->ij", f, f) / f[0].size / rms(theirs) ** 2 for f in (own, theirs))
        expected += ((a - g) ** 2).sum() / (4 * len(a) ** 2) / len(looks.style)
    final = transfer.measure()
    assert final.style == pytest.approx(expected, rel=1e-4)
    place = looks.style.index(looks.content)
    own, theirs = seen(transfer.picture())[place], seen(PLAIN)[place]
    assert final.content == pytest.approx((((own - theirs) / rms(theirs)) ** 2).mean(), rel=1e-4)
    pixels = transfer.picture() / 255
    differences = [(np.diff(pixels, axis=axis) ** 2).mean() for axis in (0, 1)]
    assert final.variation == pytest.approx(sum(differences), rel=1e-4)


def test_the_gradient_of_the_whole_is_that_of_finite_differences():
    transfer = Transfer(network("lenet5"), PLAIN, WAVES, StyleSettings(init="noise"))  # lenet5 is smooth
    point = transfer.canvas.blank()
    _, gradient = transfer._evaluate(point)
    direction = torch.randn(point.shape, generator=torch.Generator().manual_seed(3))
    step = 0.01
    ahead, behind = (transfer._evaluate(point + sign * step * direction)[0] for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=0.01)


@BOTH
@pytest.mark.parametrize("init", ["content", "noise"])
def test_the_same_seed_gives_the_same_picture(optimizer, init):
    pictures = [run(optimizer=optimizer, init=init, seed=seed, steps=4).picture() for seed in (1, 1, 2)]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2]) == (init == "content")


def test_a_network_for_grey_pictures_gives_a_grey_one():
    transfer = run(network(channels=1), stripes(24, 32, 40, 1), stripes(24, 24, 6, 1), steps=2)
    assert transfer.picture().shape == (24, 32, 1)


def test_it_can_be_left_after_any_step():
    transfer = Transfer(network(), PLAIN, WAVES, StyleSettings(steps=10))
    for number, losses in enumerate(transfer.steps(), 1):
        assert isinstance(losses, Losses)
        if number == 2:
            break
    assert len(transfer.losses) == 3
    assert not np.array_equal(transfer.picture(), PLAIN)
    assert transfer.picture().dtype == np.uint8


def test_a_uniform_style_and_content_are_no_division_by_zero():
    transfer = run(style=np.full((20, 20, 3), 128, np.uint8), content=np.zeros((20, 20, 3), np.uint8), steps=3)
    assert all(math.isfinite(losses.style) for losses in transfer.losses)


def test_losses_that_are_not_finite_end_it():
    looks = network()
    next(looks.model.parameters()).data.fill_(math.nan)
    with pytest.raises(DivergedError):
        run(looks)
