"""Dealing whole groups of pictures: no group is divided, and every class is spread as evenly as that allows.

Greedy, as scikit-learn's StratifiedGroupKFold: large groups first, each to the bin where it does least harm. The
harm is Σ_b Σ_k w_k n_bk² / share_b, where n_bk pictures of class k lie in bin b; with every class divided in the
bins' shares it is least. w_k = 1 / n_k² lets a rare class count as much as a common one, and all pictures together
count as much as all the classes, so that the bins keep their sizes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from striate.core.random import Stream, uniform

Counts = NDArray[np.float64]  # G K+1: each group's pictures of each class, and all of them
SWEEPS = 4  # times that groups are dealt anew among all others
MOST = 1.5  # times the wanted share that may be held out for the sake of a class that would not be measured


def deal_evenly(labels: Tensor, groups: Tensor, bins: int, seed: int, round_: int = 0) -> Tensor:
    """Return the bin of each picture (int64 N, 0 … bins−1), equal within a group; a pure function of the arguments.

    No bin is empty where there are as many groups as bins.

    Args:
        labels: int64 N, or bool N K.
        groups: int64 N; equal numbers belong together.
        bins: Their number.
        seed: Seed of the order among groups of about one size.
        round_: Number of the dealing, where one set is dealt more than once.
    """
    member, counts, weights = _tabulate(labels, groups)
    filled = np.zeros((bins, counts.shape[1]))
    chosen = np.full(len(counts), -1)
    order = _large_first(counts, seed, round_)
    for sweep in range(1 + SWEEPS):
        before = chosen.copy()
        for group in order:
            row = counts[group]
            if sweep:
                filled[chosen[group]] -= row
            chosen[group] = ((2 * filled + row) * row @ weights).argmin()  # by how much n_bk² rises
            filled[chosen[group]] += row
        if np.array_equal(chosen, before):
            break
    return torch.from_numpy(chosen)[member]


def hold_out_groups(labels: Tensor, groups: Tensor, share: float, seed: int, round_: int = 0) -> Tensor:
    """Return which pictures are held out (bool N), equal within a group; a pure function of the arguments.

    Every class keeps a picture that is not held out. Every class has one that is, where that divides no group,
    takes the last of no class, and holds out no more than half as much again as the wanted share. One group at
    least is held out, however large, where every class has pictures in others.

    Args:
        labels: int64 N, or bool N K.
        groups: int64 N; equal numbers belong together.
        share: Share held out, 0 < share < 1.
        seed: Seed of the order among groups of about one size.
        round_: Number of the split, where one set is split more than once.
    """
    member, counts, weights = _tabulate(labels, groups)
    total = counts.sum(0)
    stays, leaves = np.zeros_like(total), np.zeros_like(total)
    out = np.zeros(len(counts), np.bool_)

    def may_leave(rows: Counts) -> NDArray[np.bool_]:
        spared: NDArray[np.bool_] = ((total - leaves - rows > 0) | (rows == 0)).all(-1)
        return spared

    for group in _large_first(counts, seed, round_):
        row = counts[group]
        rise = [(2 * there + row) * row @ weights for there in (stays, leaves)]
        out[group] = rise[1] / share < rise[0] / (1 - share) and bool(may_leave(row))
        there = leaves if out[group] else stays
        there += row
    for one_class in np.argsort(total[:-1], kind="stable"):
        if leaves[one_class] > 0:
            continue
        possible = (counts[:, one_class] > 0) & ~out & may_leave(counts)
        if out.any():
            possible &= leaves[-1] + counts[:, -1] <= MOST * share * total[-1]
        if possible.any():
            harm = np.square(leaves + counts - share * total) @ weights
            group = int(np.where(possible, harm, np.inf).argmin())
            out[group] = True
            leaves += counts[group]
    return torch.from_numpy(out)[member]


def _tabulate(labels: Tensor, groups: Tensor) -> tuple[Tensor, Counts, NDArray[np.float64]]:
    """Return the number of each picture's group (0 … G−1), the groups' counts, and the weight of each class."""
    names, member = groups.unique(return_inverse=True)
    flags = labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels)
    columns = torch.cat([flags.double(), torch.ones(len(labels), 1, dtype=torch.float64)], 1)
    counts = torch.zeros(len(names), columns.shape[1], dtype=torch.float64).index_add_(0, member, columns).numpy()
    total = np.maximum(counts.sum(0), 1)
    weights = 1 / np.square(total)
    weights[:-1] /= max(len(weights) - 1, 1)
    return member, counts, weights


def _large_first(counts: Counts, seed: int, round_: int) -> list[int]:
    """Return the groups from the largest to the smallest, those within a factor of two at random."""
    magnitude = np.floor(np.log2(counts[:, -1]))
    chance = uniform(seed, round_, torch.arange(len(counts)), Stream.SPLIT).numpy()
    order: list[int] = np.lexsort((chance, -magnitude)).tolist()
    return order
