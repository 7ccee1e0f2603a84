"""Folds: complete, even, stratified, of whole groups, and the same for every run of a cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from striate.core.errors import DataError, SettingsError
from striate.core.settings import DataSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.folds import fold_numbers, take_fold
from striate.data.sources import open_data

from .tables import write_table

SEEDS = st.integers(0, 2**32 - 1)


def dataset(labels: list[int], groups: list[int] | None = None, start: int = 0) -> ImageDataset:
    count = len(labels)
    return ImageDataset(
        images=torch.arange(start, start + count, dtype=torch.uint8).reshape(count, 1, 1, 1),
        labels=torch.tensor(labels),
        classes=tuple("abcd"),
        names=[f"picture {start + i}" for i in range(count)],
        groups=None if groups is None else torch.tensor(groups),
    )


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=80), folds=st.integers(2, 9), seed=SEEDS)
@settings(deadline=None)
def test_sizes_and_numbers_of_each_class_differ_by_one_at_most(labels, folds, seed):
    numbers = fold_numbers(torch.tensor(labels), folds, seed).numpy()
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for label in set(labels):
        of_class = np.bincount(numbers[np.array(labels) == label], minlength=folds)
        assert of_class.max() - of_class.min() <= 1
    assert np.array_equal(numbers, fold_numbers(torch.tensor(labels), folds, seed).numpy())


def test_they_are_as_even_as_scikit_learns():
    labels = np.random.default_rng(0).choice(5, 333, p=[0.5, 0.3, 0.1, 0.06, 0.04])
    ours = fold_numbers(torch.from_numpy(labels), 7, 0).numpy()
    for number, (_, test) in enumerate(StratifiedKFold(7, shuffle=True, random_state=0).split(labels, labels)):
        assert np.abs(np.bincount(labels[ours == number]) - np.bincount(labels[test])).max() <= 1


@given(flags=st.integers(1, 6), count=st.integers(1, 60), folds=st.integers(2, 5), seed=SEEDS)
@settings(deadline=None)
def test_of_several_classes_every_set_is_spread(flags, count, folds, seed):
    labels = np.random.default_rng(seed).random((count, flags)) < 0.4
    numbers = fold_numbers(torch.from_numpy(labels), folds, seed).numpy()
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    _, sets = np.unique(labels, axis=0, return_inverse=True)
    for number in np.unique(sets):
        of_set = np.bincount(numbers[sets == number], minlength=folds)
        assert of_set.max() - of_set.min() <= 1


def test_every_picture_validates_once_and_trains_in_all_other_folds():
    data = Splits("x", dataset([0, 1, 2, 3] * 10), test=dataset([0, 1], start=100))
    taken = [take_fold(data, 5, fold, seed=3) for fold in range(1, 6)]
    held_out = [set(splits.val.names) for splits in taken]
    assert set.union(*held_out) == set(data.train.names)
    assert sum(map(len, held_out)) == 40
    for splits in taken:
        assert not set(splits.val.names) & set(splits.train.names)
        assert len(splits.val) + len(splits.train) == 40
        assert splits.test is data.test
        assert splits.val.class_counts() == [2, 2, 2, 2]
        assert any("8 pictures held out for validation, 32 to train on" in note for note in splits.notes)
    assert {tuple(splits.val.names) for splits in taken} != {
        tuple(take_fold(data, 5, fold, seed=4).val.names) for fold in range(1, 6)
    }


def test_a_validation_part_goes_into_the_folds():
    data = Splits("x", dataset([0, 1] * 8), val=dataset([0, 1] * 2, start=50))
    taken = [take_fold(data, 4, fold, seed=0) for fold in range(1, 5)]
    assert sorted(name for splits in taken for name in splits.val.names) == sorted([*data.train.names, *data.val.names])
    for splits in taken:
        for image, label, name in zip(
            splits.train.images.flatten(), splits.train.labels, splits.train.names, strict=True
        ):
            assert name == f"picture {int(image)}"
            assert int(label) == int(image) % 2


def test_groups_lie_in_one_fold_each():
    groups = [number // 3 for number in range(60)]
    data = Splits("x", dataset([number % 4 for number in range(60)], groups))
    taken = [take_fold(data, 4, fold, seed=0) for fold in range(1, 5)]
    for splits in taken:
        assert not set(splits.val.groups.tolist()) & set(splits.train.groups.tolist())
        assert 12 <= len(splits.val) <= 18
        assert any("20 groups, none divided" in note for note in splits.notes)
    assert sorted(group for splits in taken for group in splits.val.groups.unique().tolist()) == list(range(20))


def test_more_folds_than_pictures_or_groups_are_refused():
    with pytest.raises(SettingsError, match="6 folds of 4 pictures"):
        take_fold(Splits("x", dataset([0, 1, 0, 1])), 6, 1, 0)
    with pytest.raises(SettingsError, match="3 folds of 2 groups"):
        take_fold(Splits("x", dataset([0, 1, 0, 1], [5, 5, 9, 9])), 3, 1, 0)


def test_a_class_that_one_fold_has_all_pictures_of_is_refused_by_every_fold():
    labels, groups = [0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3]
    for fold in (1, 2):
        with pytest.raises(DataError, match=r"learn them: b; they are of one group"):
            take_fold(Splits("x", dataset(labels, groups)), 2, fold, 0)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"fold": 2}, "--folds"),
        ({"folds": 3}, "--fold 1 … 3"),
        ({"folds": 3, "fold": 4}, "no 4th"),
        ({"folds": 3, "fold": 1, "val_share": 0.2}, "val_share"),
        ({"folds": 3, "fold": 1, "test_share": 0.2}, "test_share"),
        ({"folds": 3, "fold": 4, "val_share": 0.1, "test_share": 0.2}, "no 4th"),
    ],
)
def test_what_contradicts_folds_is_refused_before_data_are_read(asked, word):
    with pytest.raises(SettingsError) as caught:
        open_data("no such data", DataSettings(**asked), 0)
    assert word in str(caught.value)
    assert caught.value.fix


def test_folds_of_a_folder_leave_no_test_part_and_those_of_a_table_its_own(picture_folder):
    root = picture_folder(cats=9, dogs=9)
    splits = open_data(str(root), DataSettings(folds=3, fold=2), 0)
    assert {name: len(part) for name, part in splits.parts().items()} == {"train": 12, "val": 6}
    assert {record.part for record in splits.files} == {"train", "val"}
    table = write_table(
        root / "t.csv",
        ("path", "label", "split"),
        lambda n, name: (name, name.split("/")[0], ("train", "val", "test")[n % 3]),
    )
    splits = open_data(str(table), DataSettings(folds=3, fold=2), 0)
    assert {name: len(part) for name, part in splits.parts().items()} == {"train": 8, "val": 4, "test": 6}
