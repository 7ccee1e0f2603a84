"""Pictures in memory: selection, statistics, fingerprints, and labels that fit the classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.core.errors import DataError
from striate.data.dataset import ImageDataset, Splits


def dataset(count: int = 12, channels: int = 3, height: int = 5, width: int = 4, seed: int = 0) -> ImageDataset:
    rng = np.random.default_rng(seed)
    return ImageDataset(
        images=torch.from_numpy(rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8)),
        labels=torch.arange(count) % 3,
        classes=("ant", "bee", "cow"),
        names=[f"x/{i}.png" for i in range(count)],
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 7, 5000])
def test_mean_and_deviation_equal_numpys(count, channels):
    data = dataset(count, channels)
    pixels = data.images.numpy().astype(np.float64) / 255
    mean, std = data.mean_std()
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std((0, 2, 3)), rtol=1e-9)


def test_a_channel_of_one_value_gets_a_deviation_that_can_be_divided_by():
    data = dataset()
    images = data.images.clone()
    images[:, 1] = 51
    mean, std = replace(data, images=images).mean_std()
    assert mean[1] == pytest.approx(0.2)
    assert std[1] == 1.0
    assert std[0] < 1


def test_statistics_do_not_change_the_pictures():
    data = dataset()
    before = data.images.clone()
    data.mean_std()
    assert torch.equal(data.images, before)


@given(indices=st.lists(st.integers(0, 11), max_size=20))
@settings(deadline=None, max_examples=40)
def test_selection_keeps_pictures_labels_and_names_in_the_order_asked_for(indices):
    data = dataset()
    chosen = data.select(torch.tensor(indices, dtype=torch.int64))
    assert np.array_equal(chosen.images.numpy(), data.images.numpy()[indices])
    assert chosen.labels.tolist() == [i % 3 for i in indices]
    assert list(chosen.names) == [f"x/{i}.png" for i in indices]


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (5, 5), (12, 12), (99, 12)])
def test_first_takes_the_leading_pictures_or_all(count, expected):
    data = dataset()
    first = data.first(count)
    assert len(first) == expected
    assert torch.equal(first.images, data.images[:expected])


def test_a_subset_of_classes_is_relabelled_in_the_order_given():
    data = dataset()
    subset = data.only_classes(["cow", "ant"])
    assert subset.classes == ("cow", "ant")
    kept = [i for i in range(12) if i % 3 != 1]
    assert list(subset.names) == [f"x/{i}.png" for i in kept]
    assert subset.labels.tolist() == [0 if i % 3 == 2 else 1 for i in kept]
    assert torch.equal(subset.images, data.images[kept])


def test_a_subset_of_splits_covers_every_part_and_is_named():
    splits = Splits("zoo", dataset(), test=dataset(6)).only_classes(["bee", "ant"])
    assert splits.name == "zoo:bee,ant"
    assert splits.classes == splits.test.classes == ("bee", "ant")
    assert splits.val is None
    assert splits.test.class_counts() == [2, 2]


def test_counts_by_class_include_classes_without_pictures():
    assert replace(dataset(4), classes=("a", "b", "c", "d")).class_counts() == [2, 1, 1, 0]


def test_the_shape_is_channels_height_width():
    assert dataset(channels=1, height=5, width=4).input_shape == (1, 5, 4)


@given(
    picture=st.integers(0, 11),
    channel=st.integers(0, 2),
    row=st.integers(0, 4),
    column=st.integers(0, 3),
    change=st.integers(1, 255),
)
@settings(deadline=None, max_examples=50)
def test_the_fingerprint_changes_with_any_byte(picture, channel, row, column, change):
    data = dataset()
    images = data.images.clone()
    images[picture, channel, row, column] ^= change
    assert replace(data, images=images).fingerprint() != data.fingerprint()


def test_the_fingerprint_changes_with_labels_classes_order_and_shape_and_not_without():
    data = dataset()
    labels = data.labels.clone()
    labels[3] = 2
    others = [
        replace(data, labels=labels),
        replace(data, classes=("ant", "bee", "dog")),
        data.select(torch.arange(11, -1, -1)),
        replace(data, images=data.images.reshape(12, 3, 4, 5)),
        data.first(11),
    ]
    prints = {part.fingerprint() for part in others}
    assert len(prints) == len(others)
    assert data.fingerprint() not in prints
    assert dataset().fingerprint() == data.fingerprint()
    transposed = data.images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert replace(data, images=transposed).fingerprint() == data.fingerprint()


def test_the_fingerprint_of_splits_changes_with_any_part():
    train, other = dataset(), dataset(6, seed=1)
    prints = {
        Splits("x", train).fingerprint(),
        Splits("x", train, val=other).fingerprint(),
        Splits("x", train, test=other).fingerprint(),
        Splits("x", train, val=other, test=train).fingerprint(),
    }
    assert len(prints) == 4


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_label_out_of_range_is_a_data_error_that_names_the_picture(label):
    data = dataset()
    labels = data.labels.clone()
    labels[7] = label
    with pytest.raises(DataError, match=r"x/7\.png") as caught:
        replace(data, labels=labels)
    assert str(label) in caught.value.what
    assert caught.value.fix
    assert caught.value.exit_code == 3


def test_parts_that_do_not_exist_are_left_out():
    assert list(Splits("x", dataset()).parts()) == ["train"]
    assert list(Splits("x", dataset(), test=dataset(), val=dataset()).parts()) == ["train", "val", "test"]
