"""Stratified splits: complete, disjoint, fair to every class, and a pure function of seed and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.data.dataset import ImageDataset, Splits
from striate.data.split import complete, hold_out, stratified_split

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60)
SHARES = st.floats(0.01, 0.99)


def dataset(labels: list[int]) -> ImageDataset:
    count = len(labels)
    return ImageDataset(
        images=torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1),
        labels=torch.tensor(labels),
        classes=tuple("abcdef"),
        names=[f"picture {i}" for i in range(count)],
    )


@given(labels=LABELS, share=SHARES, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_two_sides_are_disjoint_complete_and_in_order(labels, share, seed):
    stay, out = stratified_split(torch.tensor(labels), share, seed)
    assert sorted(stay.tolist() + out.tolist()) == list(range(len(labels)))
    assert stay.tolist() == sorted(stay.tolist())
    assert out.tolist() == sorted(out.tolist())


@given(labels=LABELS, share=SHARES, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_every_class_gives_its_share_and_keeps_at_least_one(labels, share, seed):
    stay, out = stratified_split(torch.tensor(labels), share, seed)
    for label in set(labels):
        count = labels.count(label)
        given_ = sum(labels[i] == label for i in out.tolist())
        assert given_ < count
        assert given_ >= (1 if count >= 2 else 0)
        if 1 <= share * count <= count - 1:
            assert abs(given_ - share * count) <= 0.5 + 1e-6
    assert {labels[i] for i in stay.tolist()} == set(labels)


@given(labels=LABELS, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_the_split_is_a_pure_function_of_seed_and_labels(labels, seed):
    first, second = (stratified_split(torch.tensor(labels), 0.3, seed) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_other_seeds_and_rounds_hold_out_other_pictures():
    labels = torch.arange(400) % 4
    chosen = {
        tuple(stratified_split(labels, 0.25, seed, round_)[1].tolist()) for seed in range(3) for round_ in range(3)
    }
    assert len(chosen) == 9


def test_every_picture_is_held_out_equally_often():
    labels = torch.arange(40) % 2
    times = np.zeros(40)
    for seed in range(1500):
        times[stratified_split(labels, 0.25, seed)[1]] += 1
    # each is chosen with probability 1/4, so its count is binomial: mean 375, standard deviation 17
    assert abs(times - 375).max() < 5 * 17


def test_holding_out_keeps_pictures_labels_and_names_together():
    data = dataset([0, 1, 2] * 10)
    for part in hold_out(data, 0.3, 0):
        for image, label, name in zip(part.images.flatten().tolist(), part.labels.tolist(), part.names, strict=True):
            assert label == image % 3
            assert name == f"picture {image}"


def test_unsplit_data_get_a_validation_and_a_test_part():
    splits = complete(Splits("x", dataset([0, 1] * 100)), 0.2, 0.1, 0)
    parts = {name: set(part.names) for name, part in splits.parts().items()}
    assert {name: len(names) for name, names in parts.items()} == {"train": 144, "val": 36, "test": 20}
    assert len(parts["train"] | parts["val"] | parts["test"]) == 200


def test_parts_that_exist_are_kept():
    train, val, test = dataset([0, 1] * 50), dataset([0, 1] * 5), dataset([0, 1] * 6)
    splits = complete(Splits("x", train, val=val, test=test), 0.2, 0.1, 0)
    assert (splits.train, splits.val, splits.test) == (train, val, test)
    splits = complete(Splits("x", train, val=val), 0.2, 0.1, 0)
    assert (splits.train, splits.val, splits.test) == (train, val, None)
    splits = complete(Splits("x", train, test=test), 0.2, 0.1, 0)
    assert splits.test is test
    assert (len(splits.train), len(splits.val)) == (80, 20)


def test_a_tenth_is_held_out_for_validation_where_no_share_is_given():
    splits = complete(Splits("x", dataset([0, 1] * 100), test=dataset([0, 1])), None, 0.1, 0)
    assert (len(splits.train), len(splits.val)) == (180, 20)


@pytest.mark.parametrize("per_class", [2, 3])
def test_classes_of_very_few_pictures_keep_a_training_picture(per_class):
    splits = complete(Splits("x", dataset([0, 1, 2] * per_class)), 0.3, 0.3, 0)
    assert min(splits.train.class_counts()[:3]) >= 1
    assert splits.test.class_counts()[:3] == [1, 1, 1]
    assert (splits.val is None) == (per_class == 2)
