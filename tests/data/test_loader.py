"""Batches: complete, reproducible, independent of how the epoch is cut, and normalised as torchvision does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.loader import Loader, in_order, normalize

CPU = torch.device("cpu")
OFF = AugmentSettings(flip=False, shift=0)
EXACT = AugmentSettings(flip=True, flip_vertical=True, shift=2, erase=0.5)
STRONG = AugmentSettings(
    flip=True, shift=2, rotate=15, zoom=0.1, crop_scale=0.5, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1,
    erase=0.5,
)  # fmt: skip


def dataset(count: int, channels: int = 3, side: int = 8, classes: int = 3) -> ImageDataset:
    rng = np.random.default_rng(count)
    return ImageDataset(
        images=torch.from_numpy(rng.integers(0, 256, (count, channels, side, side), dtype=np.uint8)),
        labels=torch.from_numpy(rng.integers(0, classes, count)),
        classes=tuple(f"class {i}" for i in range(classes)),
        names=[f"picture {i}" for i in range(count)],
    )


def spec_of(channels: int = 3, side: int = 8) -> ImageSpec:
    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        classes=("class 0", "class 1", "class 2"),
        mean=(0.485, 0.456, 0.406)[:channels],
        std=(0.229, 0.224, 0.225)[:channels],
    )


def loader(count: int, batch_size: int, changes: AugmentSettings = OFF, seed: int = 0) -> Loader:
    return Loader(dataset(count), spec_of(), changes, batch_size, seed, CPU)


@given(count=st.integers(1, 40), batch_size=st.integers(1, 45), epoch=st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_every_picture_comes_exactly_once_per_epoch(count, batch_size, epoch):
    batches = list(loader(count, batch_size).epoch(epoch))
    indices = torch.cat([batch.indices for batch in batches])
    assert sorted(indices.tolist()) == list(range(count))


@given(count=st.integers(2, 40), batch_size=st.integers(2, 45))
@settings(deadline=None, max_examples=60)
def test_no_batch_holds_a_single_picture_and_only_the_last_differs_in_size(count, batch_size):
    loaded = loader(count, batch_size)
    sizes = [len(batch.indices) for batch in loaded.epoch(0)]
    assert len(sizes) == len(loaded)
    assert min(sizes) >= 2
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size + 1


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (5, 4, [5]), (3, 8, [3]), (1, 8, [1])],
)
def test_a_leftover_of_one_joins_the_batch_before(count, batch_size, sizes):
    assert [len(batch.labels) for batch in loader(count, batch_size).epoch(0)] == sizes


@pytest.mark.parametrize("changes", [OFF, STRONG, AugmentSettings(flip=True, mixup=0.4, cutmix=1.0)])
def test_an_epoch_started_in_the_middle_gives_the_batches_of_the_whole_epoch(changes):
    loaded = loader(23, 5, changes)
    whole = list(loaded.epoch(2))
    for start in range(len(whole) + 1):
        rest = list(loader(23, 5, changes).epoch(2, start))
        assert len(rest) == len(whole) - start
        for ours, reference in zip(rest, whole[start:], strict=True):
            for key, value in vars(reference).items():
                assert torch.equal(getattr(ours, key), value)


def test_the_stated_indices_are_those_of_the_batches():
    loaded = loader(21, 5)
    for number, batch in enumerate(loaded.epoch(4)):
        assert torch.equal(batch.indices, loaded.indices(4, number))


def contents(loaded: Loader, epoch: int) -> torch.Tensor:
    batches = list(loaded.epoch(epoch))
    order = torch.argsort(torch.cat([batch.indices for batch in batches]))
    return torch.cat([batch.images for batch in batches])[order]


@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_a_pictures_changes_do_not_depend_on_the_batch_size(batch_size):
    whole = contents(loader(30, 30, EXACT), 1)
    assert torch.equal(contents(loader(30, batch_size, EXACT), 1), whole)
    # interpolated pictures go through matrix products, which round differently for different sizes
    whole = contents(loader(30, 30, STRONG), 1)
    torch.testing.assert_close(contents(loader(30, batch_size, STRONG), 1), whole, rtol=0, atol=1e-4)


def test_augmentation_differs_between_epochs_and_pictures_keep_their_labels():
    loaded = loader(30, 8, STRONG)
    assert not torch.equal(contents(loaded, 0), contents(loaded, 1))
    for batch in loaded.epoch(0):
        assert torch.equal(batch.labels, loaded.data.labels[batch.indices])
        assert torch.equal(batch.targets, batch.labels)


def test_order_differs_between_epochs_and_seeds_and_is_equal_for_equal_seed():
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat([batch.indices for batch in loader(50, 8, seed=seed).epoch(epoch)]).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != list(range(50))


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_equals_torchvisions(channels):
    spec = spec_of(channels)
    images = dataset(6, channels).images
    theirs = tv.normalize(tv.to_dtype(images, torch.float32, scale=True), list(spec.mean), list(spec.std))
    ours = normalize(images, spec)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_normalisation_takes_floats_on_the_same_scale_and_leaves_its_input_alone():
    images = dataset(6).images.float().contiguous(memory_format=torch.channels_last)
    before = images.clone()
    torch.testing.assert_close(normalize(images, spec_of()), normalize(images.byte(), spec_of()))
    assert torch.equal(images, before)


def test_without_augmentation_batches_are_the_normalised_pictures():
    loaded = loader(20, 6)
    for batch in loaded.epoch(0):
        assert torch.equal(batch.images, normalize(loaded.data.images[batch.indices], spec_of()))


def test_mixed_batches_have_soft_targets_that_sum_to_one():
    for batch in loader(20, 6, AugmentSettings(mixup=1.0)).epoch(0):
        assert batch.targets.shape == (len(batch.labels), 3)
        torch.testing.assert_close(batch.targets.sum(1), torch.ones(len(batch.labels)))


def test_evaluation_sees_every_picture_in_its_own_order():
    data = dataset(11)
    batches = list(in_order(data, spec_of(), 4, CPU))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    torch.testing.assert_close(torch.cat(batches), normalize(data.images, spec_of()))


def test_making_batches_does_not_change_the_pictures_in_memory():
    loaded = loader(20, 6, STRONG)
    before = loaded.data.images.clone()
    list(loaded.epoch(0))
    assert torch.equal(loaded.data.images, before)
