"""Dealing groups: none is divided, every class is served, and the bins are as even as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from striate.data.deal import MOST, deal_evenly, hold_out_groups
from striate.data.split import stratified_split

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.02, 0.6)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw labels (int64 N, or bool N K) and groups, few or many."""
    count, classes = draw(st.integers(1, 80)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(SEEDS))
    groups = torch.from_numpy(rng.integers(0, draw(st.integers(1, 40)), count)) * 7 - 30
    if draw(st.booleans()):
        return torch.from_numpy(rng.random((count, classes)) < draw(st.sampled_from([0.1, 0.5]))), groups
    return torch.from_numpy(rng.integers(0, classes, count)), groups


def flags(labels: torch.Tensor) -> torch.Tensor:
    return labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels).bool()


def is_whole(bins: torch.Tensor, groups: torch.Tensor) -> bool:
    return all(len(bins[groups == group].unique()) == 1 for group in groups.unique())


@given(data=grouped(), share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_no_group_is_divided_and_every_class_stays(data, share, seed):
    labels, groups = data
    stay, out = stratified_split(labels, share, seed, groups=groups)
    assert sorted([*stay.tolist(), *out.tolist()]) == list(range(len(groups)))
    assert stay.tolist() == sorted(stay.tolist())
    assert out.tolist() == sorted(out.tolist())
    assert not set(groups[stay].tolist()) & set(groups[out].tolist())
    of = flags(labels)
    assert of[stay].any(0).tolist() == of.any(0).tolist()
    assert len(stay)


@given(data=grouped(), share=SHARES, seed=SEEDS)
@settings(deadline=None)
def test_a_class_is_measured_wherever_a_small_group_can_be_spared(data, share, seed):
    labels, groups = data
    out = hold_out_groups(labels, groups, share, seed)
    of = flags(labels)
    for number in range(of.shape[1]):
        if not of[:, number].any() or of[out, number].any():
            continue
        for group in groups[of[:, number]].unique():  # nothing that could have been held out was left
            members = groups == group
            rest = ~out & ~members
            takes_the_last = bool((of.any(0) & ~of[rest].any(0)).any()) or not rest.any()
            too_large = bool(out.any()) and int(out.sum()) + int(members.sum()) > MOST * share * len(groups)
            assert takes_the_last or too_large


@given(data=grouped(), share=SHARES, bins=st.integers(2, 6), seed=SEEDS)
@settings(deadline=None, max_examples=40)
def test_both_are_pure_functions_of_seed_labels_and_groups(data, share, bins, seed):
    labels, groups = data
    assert torch.equal(hold_out_groups(labels, groups, share, seed), hold_out_groups(labels, groups, share, seed))
    assert torch.equal(deal_evenly(labels, groups, bins, seed), deal_evenly(labels, groups, bins, seed))


@given(seed=SEEDS, share=st.floats(0.05, 0.5), largest=st.integers(1, 4), classes=st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_sizes_are_near_the_wanted_share_where_groups_are_small(seed, share, largest, classes):
    rng = np.random.default_rng(seed)
    groups = torch.from_numpy(np.repeat(np.arange(300), rng.integers(1, largest + 1, 300)))
    labels = torch.from_numpy(rng.integers(0, classes, 300))[groups] if seed % 2 else None
    if labels is None:
        labels = torch.from_numpy(rng.integers(0, classes, len(groups)))
    out = hold_out_groups(labels, groups, share, seed)
    assert abs(int(out.sum()) - share * len(groups)) <= 2 * largest + classes
    for label in range(classes):
        of = labels == label
        assert abs(int(out[of].sum()) - share * int(of.sum())) <= 3 * largest + classes


@given(data=grouped(), bins=st.integers(2, 6), seed=SEEDS)
@settings(deadline=None)
def test_bins_divide_no_group_and_none_is_empty(data, bins, seed):
    labels, groups = data
    dealt = deal_evenly(labels, groups, bins, seed)
    assert is_whole(dealt, groups)
    assert len(dealt.unique()) == min(bins, len(groups.unique()))


def imbalance(dealt: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Return the mean absolute distance of the classes' shares in each bin from what is even."""
    table = np.array([[np.mean(dealt[labels == label] == bin_) for label in np.unique(labels)] for bin_ in range(bins)])
    return float(np.abs(table - 1 / bins).mean())


def leaning_patients(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and groups: each patient has some kinds of picture more than others."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 60, 600)
    leaning = rng.dirichlet([0.7] * 4, 60)
    return np.array([rng.choice(4, p=leaning[group]) for group in groups]), groups


def scikit_learns(labels: np.ndarray, groups: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups))


@pytest.mark.parametrize("seed", range(6))
def test_classes_are_spread_as_evenly_as_scikit_learn_spreads_them(seed):
    labels, groups = leaning_patients(seed)
    ours = deal_evenly(torch.from_numpy(labels), torch.from_numpy(groups), 5, seed).numpy()
    theirs = np.empty(600, dtype=int)
    for number, (_, test) in enumerate(scikit_learns(labels, groups, seed)):
        theirs[test] = number
    assert imbalance(ours, labels, 5) <= 1.1 * imbalance(theirs, labels, 5) + 0.005
    sizes = np.bincount(ours)
    assert sizes.max() - sizes.min() <= np.bincount(groups).max()


@pytest.mark.parametrize("seed", range(6))
def test_classes_are_held_out_as_evenly_as_a_fold_of_scikit_learns(seed):
    labels, groups = leaning_patients(seed)
    out = hold_out_groups(torch.from_numpy(labels), torch.from_numpy(groups), 0.2, seed).numpy()
    kept = [
        np.bincount(labels[test], minlength=4) / np.bincount(labels) for _, test in scikit_learns(labels, groups, seed)
    ]
    ours = np.bincount(labels[out], minlength=4) / np.bincount(labels)
    assert np.abs(ours - 0.2).mean() <= 1.2 * np.abs(np.array(kept) - 0.2).mean() + 0.005


def test_other_seeds_hold_out_other_groups():
    groups = torch.arange(400) // 4
    labels = groups % 3
    assert len({tuple(hold_out_groups(labels, groups, 0.2, seed).tolist()) for seed in range(6)}) == 6


def test_the_only_group_that_can_be_spared_is_held_out_however_large():
    groups = torch.tensor([0] * 10 + [1] * 10)
    labels = torch.arange(20) % 2
    assert int(hold_out_groups(labels, groups, 0.1, 0).sum()) == 10


def test_a_class_of_one_group_stays():
    groups = torch.tensor([0] * 10 + [1] * 10 + [2] * 10)
    labels = torch.tensor([0] * 20 + [1] * 10)
    for seed in range(10):
        out = hold_out_groups(labels, groups, 0.4, seed)
        assert out.any()
        assert not out[20:].any()
