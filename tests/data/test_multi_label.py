"""Pictures of any number of classes each: label sets in memory, split, in batches and mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit

from striate.core.errors import DataError
from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data.augment.mix import apply_mix, draw_mix
from striate.data.dataset import ImageDataset, Splits, label_texts
from striate.data.loader import Loader
from striate.data.split import complete, stratified_split

CLASSES = ("ant", "bee", "cow")
SHARES = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def label_sets(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Draw labels, bool N K, of few or many different sets."""
    count, classes = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    share = draw(st.sampled_from([0.05, 0.5, 0.9]))
    return np.random.default_rng(draw(SEEDS)).random((count, classes)) < share


def dataset(count: int = 12, flags: NDArray[np.bool_] | None = None) -> ImageDataset:
    rng = np.random.default_rng(count)
    if flags is None:
        flags = rng.random((count, 3)) < 0.5
    return ImageDataset(
        images=torch.from_numpy(rng.integers(0, 256, (count, 3, 6, 5), dtype=np.uint8)),
        labels=torch.from_numpy(flags),
        classes=CLASSES,
        names=[f"x/{i}.png" for i in range(count)],
    )


# In memory


def test_selection_subsets_and_counts_are_numpys():
    data, flags = dataset(), dataset().labels.numpy()
    assert data.multi_label
    assert Splits("zoo", data).multi_label
    assert data.class_counts() == np.count_nonzero(flags, axis=0).tolist()
    assert np.array_equal(data.select(torch.tensor([7, 2])).labels.numpy(), flags[[7, 2]])
    for label in range(3):
        assert data.of_class(label).tolist() == np.flatnonzero(flags[:, label]).tolist()
    subset = Splits("zoo", data, test=data).only_classes(["cow", "ant"])
    assert subset.classes == subset.test.classes == ("cow", "ant")
    assert np.array_equal(subset.train.labels.numpy(), flags[:, [2, 0]])
    assert list(subset.train.names) == list(data.names), "a picture of none of them is one, too"


def test_pictures_of_one_class_know_theirs():
    data = replace(dataset(), labels=torch.arange(12) % 3)
    assert not data.multi_label
    assert data.of_class(1).tolist() == [1, 4, 7, 10]


def test_the_fingerprint_changes_with_any_flag_and_with_the_kind_of_labels():
    data = dataset()
    prints = {data.fingerprint()}
    for i, k in np.ndindex(12, 3):
        labels = data.labels.clone()
        labels[i, k] ^= True
        prints.add(replace(data, labels=labels).fingerprint())
    assert len(prints) == 37
    assert data.only_classes(CLASSES).fingerprint() == data.fingerprint()
    # eight flags are the bytes of one number: here class 1 of each, and class 'a' in each set
    eight = tuple("abcdefgh")
    flags = torch.zeros(12, 8, dtype=torch.bool)
    flags[:, 0] = True
    one = replace(data, labels=torch.ones(12, dtype=torch.int64), classes=eight)
    several = replace(data, labels=flags, classes=eight)
    assert one.labels.numpy().tobytes() == several.labels.numpy().tobytes()
    assert one.fingerprint() != several.fingerprint()


def test_names_of_classes_that_could_not_be_told_apart_when_joined_are_refused():
    with pytest.raises(DataError, match=r"a\|b") as caught:
        replace(dataset(), classes=("a", "b", "a|b"))
    assert caught.value.fix
    replace(dataset(), labels=torch.zeros(12, dtype=torch.int64), classes=("a", "b", "a|b"))


def test_labels_in_words():
    flags = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    assert label_texts(flags, CLASSES) == ["ant|cow", "", "bee"]
    assert label_texts(torch.tensor([2, 0]), CLASSES) == ["cow", "ant"]


# Split


@given(flags=label_sets(), share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_the_two_sides_are_disjoint_complete_and_every_class_stays(flags, share, seed):
    stay, out = stratified_split(torch.from_numpy(flags), share, seed)
    assert sorted(stay.tolist() + out.tolist()) == list(range(len(flags)))
    assert stay.tolist() == sorted(stay.tolist())
    assert out.tolist() == sorted(out.tolist())
    assert flags[stay.tolist()].any(0).tolist() == flags.any(0).tolist()
    again = stratified_split(torch.from_numpy(flags), share, seed)
    assert torch.equal(again[0], stay)
    assert torch.equal(again[1], out)


@given(classes=st.lists(st.integers(0, 4), min_size=40, max_size=80), share=st.floats(0.2, 0.8), seed=SEEDS)
@settings(deadline=None, max_examples=40)
def test_of_exactly_one_class_each_they_split_as_single_labels_do(classes, share, seed):
    # five more of each, so that no set is too rare for a picture of its own
    labels = torch.tensor([*classes, *list(range(5)) * 5])
    single, sets = (stratified_split(of, share, seed) for of in (labels, torch.eye(5, dtype=torch.bool)[labels]))
    assert torch.equal(single[1], sets[1])


def test_every_common_set_gives_its_share_as_scikit_learns_split_does():
    flags = np.random.default_rng(0).random((800, 3)) < (0.3, 0.5, 0.7)
    _, sets = np.unique(flags, axis=0, return_inverse=True)
    _, out = stratified_split(torch.from_numpy(flags), 0.2, seed=0)
    _, theirs = next(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(sets, sets))
    assert np.abs(np.bincount(sets[out]) - np.bincount(sets[theirs])).max() <= 1


def test_where_nearly_every_set_is_different_the_share_is_held_out_all_the_same():
    flags = np.random.default_rng(1).random((500, 30)) < 0.4
    assert len(np.unique(flags, axis=0)) == 500
    _, out = stratified_split(torch.from_numpy(flags), 0.2, seed=0)
    assert 70 <= len(out) <= 100  # one of each of 30 classes is kept
    other = stratified_split(torch.from_numpy(flags), 0.2, seed=1)[1]
    assert other.tolist() != out.tolist()


def test_data_too_few_to_spare_a_picture_have_no_other_part():
    splits = complete(Splits("x", dataset(3, np.eye(3, dtype=bool))), 0.3, 0.3, 0)
    assert list(splits.parts()) == ["train"]


# Batches


def loader(data: ImageDataset, changes: AugmentSettings) -> Loader:
    spec = ImageSpec(channels=3, height=6, width=5, classes=CLASSES, mean=(0.5,) * 3, std=(0.25,) * 3, multi_label=True)
    return Loader(data, spec, changes, 5, 0, torch.device("cpu"))


def test_targets_are_the_flags_as_numbers():
    data = dataset(13)
    for batch in loader(data, AugmentSettings(flip=False, shift=0)).epoch(0):
        assert batch.multi_label
        assert batch.targets.dtype == torch.float32
        assert np.array_equal(batch.targets.numpy(), data.labels.numpy()[batch.indices].astype(np.float32))
        assert torch.equal(batch.labels, data.labels[batch.indices])


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_mixing_mixes_the_rows(changes):
    data, settings_ = dataset(13), AugmentSettings(flip=False, shift=0, **changes)
    for batch in loader(data, settings_).epoch(2):
        share = draw_mix(settings_, (6, 5), 0, 2, batch.indices).share.numpy()[:, None]
        own = data.labels.numpy()[batch.indices].astype(np.float32)
        np.testing.assert_allclose(batch.targets.numpy(), share * own + (1 - share) * np.roll(own, 1, 0), atol=1e-6)
        assert torch.equal(batch.labels, data.labels[batch.indices])


def test_one_class_each_is_mixed_to_the_same_targets_either_way():
    labels = torch.arange(20) % 3
    images = torch.rand(20, 3, 6, 5)
    mix = draw_mix(AugmentSettings(mixup=0.4, cutmix=1.0), (6, 5), 0, 0, torch.arange(20))
    sets = torch.eye(3, dtype=torch.bool)[labels]
    for single, multi in zip(apply_mix(images, labels, mix, 3), apply_mix(images, sets, mix, 3), strict=True):
        assert torch.equal(single, multi)
