"""Balanced sampling: a pure function, every class equally often, small classes evenly, repeats changed anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.core.settings import AugmentSettings
from striate.data.dataset import ImageDataset
from striate.data.loader import Loader
from striate.data.sampling import balanced_order

from .test_loader import CPU, spec_of

COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=5).filter(lambda counts: sum(counts) > 0)


def labels_of(counts: list[int]) -> torch.Tensor:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


@given(counts=COUNTS, seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_classes_come_equally_often_and_pictures_of_a_class_up_to_one_time(counts, seed, epoch) -> None:
    labels = labels_of(counts)
    order = balanced_order(labels, len(counts), seed, epoch)
    assert torch.equal(order, balanced_order(labels, len(counts), seed, epoch)), "a pure function"
    count = len(labels)
    assert len(order) == count
    assert len(order.unique()) == count, "no draw comes twice"
    seen = np.bincount(labels[order % count], minlength=len(counts))
    filled = np.array(counts) > 0
    assert seen[~filled].sum() == 0
    assert set(seen[filled]) <= {count // filled.sum(), count // filled.sum() + 1}
    times = np.bincount(order % count, minlength=count)
    for label in np.flatnonzero(filled):
        of_class = times[(labels == int(label)).numpy()]
        assert of_class.max() - of_class.min() <= 1
        assert (of_class.max() > 1) == (seen[label] > counts[label])
    # a picture's repetitions are numbered from 0 on
    for picture in np.flatnonzero(times):
        repeats = order[order % count == int(picture)] // count
        assert sorted(repeats.tolist()) == list(range(times[picture]))


def test_over_epochs_every_class_and_every_picture_of_one_has_its_turn() -> None:
    labels = labels_of([50, 6, 5])
    orders = [balanced_order(labels, 3, 1, epoch) % 61 for epoch in range(300)]
    seen = np.bincount(torch.cat(orders), minlength=61)
    by_class = np.array([seen[(labels == k).numpy()].sum() for k in range(3)])
    np.testing.assert_allclose(by_class / by_class.sum(), 1 / 3, atol=0.002)
    of_largest = seen[(labels == 0).numpy()]
    # without replacement within an epoch: hypergeometric, about 20 of 50 in each of 300
    assert abs(of_largest.mean() - 300 * 61 / 3 / 50) < 1
    assert of_largest.std() < 1.3 * np.sqrt(300 * 0.4 * 0.6)


def balanced_loader(changes: AugmentSettings, batch_size: int = 5) -> Loader:
    labels = labels_of([20, 3, 2])
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (25, 3, 8, 8), generator=generator, dtype=torch.uint8)
    data = ImageDataset(images, labels, ("class 0", "class 1", "class 2"), [f"{i}" for i in range(25)])
    return Loader(data, spec_of(), changes, batch_size, 3, CPU, balanced=True)


@pytest.mark.parametrize("changes", [AugmentSettings(rotate=15, shift=2), AugmentSettings(mixup=0.4)])
def test_an_epoch_started_in_the_middle_gives_the_batches_of_the_whole_epoch(changes) -> None:
    whole = list(balanced_loader(changes).epoch(2))
    for start in range(len(whole) + 1):
        rest = list(balanced_loader(changes).epoch(2, start))
        assert len(rest) == len(whole) - start
        for ours, reference in zip(rest, whole[start:], strict=True):
            assert all(torch.equal(getattr(ours, key), value) for key, value in vars(reference).items())


def test_a_picture_seen_again_in_an_epoch_is_changed_in_another_way() -> None:
    batches = list(balanced_loader(AugmentSettings(rotate=40.0)).epoch(0))
    indices = torch.cat([batch.indices for batch in batches])
    images = torch.cat([batch.images for batch in batches])
    assert indices.max() < 25
    twice = [number for number in indices.unique().tolist() if (indices == number).sum() > 1]
    assert twice
    for number in twice:
        same = images[indices == number]
        assert not torch.equal(same[0], same[1])


def test_the_stated_indices_are_those_of_the_batches() -> None:
    loaded = balanced_loader(AugmentSettings())
    for number, batch in enumerate(loaded.epoch(4)):
        assert torch.equal(batch.indices, loaded.indices(4, number))
        assert torch.equal(batch.labels, loaded.data.labels[batch.indices])


def test_the_first_pictures_are_those_of_the_first_batch() -> None:
    loaded = balanced_loader(AugmentSettings(rotate=15, erase=0.5))
    first = next(loaded.epoch(0))
    few = loaded.first(3)
    assert torch.equal(few.indices, first.indices[:3])
    torch.testing.assert_close(few.images, first.images[:3])
