"""Random erasing, mixup and CutMix against torchvision on the same boxes and shares."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor
from torchvision.transforms.v2 import CutMix, MixUp

from striate.core.random import Stream, uniform
from striate.core.settings import AugmentSettings
from striate.data.augment.erase import apply_erase, draw_boxes, inside_boxes
from striate.data.augment.mix import Mix, apply_mix, draw_mix
from striate.data.augment.pipeline import Augment

CLASSES = 4


def pictures(count: int = 5, channels: int = 3, height: int = 12, width: int = 15, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_erasing_equals_torchvisions_erase(dtype):
    images = pictures().to(dtype)
    boxes = torch.tensor([[0, 0, 15, 12], [3, 2, 4, 7], [14, 11, 1, 1], [0, 5, 9, 2], [0, 0, 0, 0]])
    fill = torch.tensor([10, 200, 77])
    theirs = [
        tv.erase(image, i=top, j=left, h=height, w=width, v=fill.to(dtype)[:, None, None])
        for image, (left, top, width, height) in zip(images, boxes.tolist(), strict=True)
    ]
    erased = apply_erase(images, boxes, fill)
    assert erased.dtype == dtype
    assert torch.equal(erased, torch.stack(theirs))


def test_a_box_of_no_size_covers_nothing():
    assert not inside_boxes(torch.tensor([[3, 3, 0, 0]]), (8, 8)).any()


def test_erasing_fills_with_the_mean_colour_of_the_training_part():
    augment = Augment(AugmentSettings(erase=1.0), (12, 15), mean=(0.2, 0.5, 1.0))
    images = pictures()
    parameters = augment.draw(0, 0, torch.arange(5))
    mask = inside_boxes(parameters.boxes, (12, 15))
    changed = augment.apply(images, parameters)
    for channel, value in enumerate([51, 128, 255]):
        assert (changed[:, channel][mask[:, 0]] == value).all()
        assert torch.equal(changed[:, channel][~mask[:, 0]], images[:, channel][~mask[:, 0]])


def test_erased_boxes_lie_inside_and_have_the_stated_frequency_area_and_ratio():
    height, width = 300, 300
    boxes = draw_boxes(AugmentSettings(erase=0.4), (height, width), 0, 0, torch.arange(6000))
    left, top, box_width, box_height = boxes.unbind(1)
    assert boxes.min() >= 0
    assert (left + box_width).max() <= width
    assert (top + box_height).max() <= height
    erased = box_width > 0
    assert torch.equal(erased, box_height > 0)
    assert scipy.stats.binomtest(int(erased.sum()), 6000, 0.4).pvalue > 0.001
    area = (box_width * box_height / (height * width))[erased].numpy()
    assert area.max() < 0.34
    # up to 0.3 of the area a box of any ratio fits
    fits = area < 0.29
    assert scipy.stats.kstest(area[fits], "uniform", (0.02, 0.27)).pvalue > 0.001
    ratio = np.log((box_width / box_height)[erased].numpy()[fits])
    assert scipy.stats.kstest(ratio, "uniform", (np.log(0.3), -2 * np.log(0.3))).pvalue > 0.001


def test_erasing_with_probability_zero_draws_nothing():
    assert draw_boxes(AugmentSettings(), (8, 8), 0, 0, torch.arange(3)) is None


def test_mixup_equals_torchvisions_with_the_same_shares():
    images, labels = pictures().float(), torch.tensor([0, 3, 1, 1, 2])
    share = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0])
    mixed, targets = apply_mix(images, labels, Mix(share, torch.zeros(5, 4, dtype=torch.int64)), CLASSES)
    theirs = MixUp(num_classes=CLASSES)
    for i, lam in enumerate(share.tolist()):
        parameters = {"lam": lam, "labels": labels, "batch_size": 5}
        torch.testing.assert_close(mixed[i], theirs.transform(images, parameters)[i], rtol=0, atol=1e-3)
        torch.testing.assert_close(targets[i], theirs.transform(labels, parameters)[i])


def test_cutmix_equals_torchvisions_with_the_same_boxes():
    images, labels = pictures().float(), torch.tensor([0, 3, 1, 1, 2])
    boxes = torch.tensor([[0, 0, 15, 12], [3, 2, 4, 7], [14, 11, 1, 1], [0, 5, 9, 2], [2, 3, 0, 0]])
    share = 1 - (boxes[:, 2] * boxes[:, 3]) / (12 * 15)
    mixed, targets = apply_mix(images, labels, Mix(share, boxes), CLASSES)
    theirs = CutMix(num_classes=CLASSES)
    for i, (left, top, width, height) in enumerate(boxes.tolist()):
        parameters = {
            "box": (left, top, left + width, top + height),
            "lam_adjusted": float(share[i]),
            "labels": labels,
            "batch_size": 5,
        }
        assert torch.equal(mixed[i], theirs.transform(images, parameters)[i])
        torch.testing.assert_close(targets[i], theirs.transform(labels, parameters)[i])


def test_cutmix_boxes_and_shares_equal_torchvisions_for_the_same_random_numbers(monkeypatch):
    height, width, count = 32, 40, 200
    indices = torch.arange(count)
    mix = draw_mix(AugmentSettings(cutmix=1.0), (height, width), 7, 3, indices)
    streams = [Stream.MIX_SHARE, Stream.MIX_X, Stream.MIX_Y]
    for i, (chance, x, y) in enumerate(uniform(7, 3, indices, streams).double().tolist()):
        theirs = CutMix(num_classes=CLASSES)
        theirs._dist = torch.distributions.Beta(1.0, 1.0)
        monkeypatch.setattr(theirs._dist, "sample", lambda shape, chance=chance: chance)  # Beta(1, 1) is uniform
        centres = iter([int(x * width), int(y * height)])
        monkeypatch.setattr(torch, "randint", lambda high, size, centres=centres: torch.tensor([next(centres)]))
        parameters = theirs.make_params([torch.zeros(count, 3, height, width)])
        left, top, box_width, box_height = mix.boxes[i].tolist()
        assert (left, top, left + box_width, top + box_height) == tuple(parameters["box"])
        assert float(mix.share[i]) == pytest.approx(parameters["lam_adjusted"], abs=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_shares_follow_the_beta_distribution(alpha):
    mix = draw_mix(AugmentSettings(mixup=alpha), (8, 8), 0, 0, torch.arange(5000))
    assert mix.boxes.sum() == 0
    assert scipy.stats.kstest(mix.share.double().numpy(), scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_cutmix_boxes_that_meet_no_edge_have_areas_of_the_beta_distribution():
    side, alpha = 1000, 2.0
    mix = draw_mix(AugmentSettings(cutmix=alpha), (side, side), 0, 0, torch.arange(4000))
    left, top, width, height = mix.boxes.unbind(1)
    assert mix.boxes.min() >= 0
    assert (left + width).max() <= side
    assert (top + height).max() <= side
    torch.testing.assert_close(mix.share, 1 - (width * height).float() / side**2)
    # a box that keeps the share λ has sides of √(1−λ) and so meets no edge with probability (1−√(1−λ))²
    free = (left > 0) & (top > 0) & (left + width < side) & (top + height < side)
    edge = np.linspace(0, 1, 2001)
    density = scipy.stats.beta(alpha, alpha).pdf(edge) * (1 - np.sqrt(1 - edge)) ** 2
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    cdf /= cdf[-1]
    shares = mix.share[free].double().numpy()
    assert len(shares) > 300
    assert scipy.stats.kstest(shares, lambda x: np.interp(x, edge, cdf)).pvalue > 0.01


def test_mixup_and_cutmix_together_take_turns_by_chance():
    mix = draw_mix(AugmentSettings(mixup=1.0, cutmix=1.0), (64, 64), 0, 0, torch.arange(4000))
    cut = int((mix.boxes[:, 2] > 0).sum())
    # a CutMix box can be empty: half the side rounds down to nothing for λ above about 1 − (2/64)²
    assert scipy.stats.binomtest(cut, 4000, 0.5).pvalue > 0.001


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_targets_sum_to_one_and_belong_to_the_two_labels(changes):
    images, labels = pictures(64).float(), torch.arange(64) % CLASSES
    mix = draw_mix(AugmentSettings(**changes), (12, 15), 0, 0, torch.arange(64))
    mixed, targets = apply_mix(images, labels, mix, CLASSES)
    assert mixed.shape == images.shape
    torch.testing.assert_close(targets.sum(1), torch.ones(64))
    assert targets.min() >= 0
    for i in range(64):
        assert set(targets[i].nonzero().flatten().tolist()) <= {int(labels[i]), int(labels[i - 1])}


def test_mixing_draws_do_not_depend_on_the_batch_or_its_order():
    changes = AugmentSettings(mixup=0.4, cutmix=1.0)
    whole = draw_mix(changes, (16, 16), 1, 4, torch.arange(20))
    order = torch.tensor([11, 3, 19, 0])
    part = draw_mix(changes, (16, 16), 1, 4, order)
    assert torch.equal(part.share, whole.share[order])
    assert torch.equal(part.boxes, whole.boxes[order])


def test_nothing_is_mixed_where_mixing_is_off():
    assert draw_mix(AugmentSettings(), (16, 16), 0, 0, torch.arange(3)) is None
