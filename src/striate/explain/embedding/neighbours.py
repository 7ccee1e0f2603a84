"""Nearest neighbours in the hidden space, by the angle between pictures, every pair compared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import DataError

_PAIRS = 2**24  # compared at a time: 64 MiB


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest pictures of some, the nearest first.

    Args:
        numbers: int64, Q k; in the bank.
        similarity: float32, Q k; the cosine of the angle, −1 … 1.
    """

    numbers: Tensor
    similarity: Tensor


def nearest(queries: Tensor, bank: Tensor, count: int = 10) -> Neighbours:
    """Return the `count` rows of the bank (all where there are fewer) at the smallest angle to each query.

    Args:
        queries: Float, Q F.
        bank: Float, M F, at least one row. A row of zeros is at a right angle to everything.
        count: How many of each.

    Raises:
        DataError: The bank is empty.
    """
    return _nearest(queries, bank, count, leave_out=False)


def nearest_others(values: Tensor, count: int = 10) -> Neighbours:
    """Return the `count` nearest other rows of each row of N F; all others where there are fewer.

    Raises:
        DataError: There is no other row.
    """
    return _nearest(values, values, count, leave_out=True)


def _nearest(queries: Tensor, bank: Tensor, count: int, *, leave_out: bool) -> Neighbours:
    count = min(count, len(bank) - leave_out)
    if count < 1:
        raise DataError("no picture to compare with", fix="give more pictures")
    units = F.normalize(bank.float(), dim=1).T  # F M
    numbers, similarity = [], []
    size = max(1, _PAIRS // len(bank))
    for start in range(0, len(queries), size):
        cosines = F.normalize(queries[start : start + size].float(), dim=1) @ units  # q M
        if leave_out:
            places = torch.arange(len(cosines))
            cosines[places, start + places] = -torch.inf
        best = cosines.topk(count, dim=1)
        numbers.append(best.indices)
        similarity.append(best.values.clamp(-1, 1))
    return Neighbours(torch.cat(numbers), torch.cat(similarity))


def votes(neighbours: Neighbours, groups: Tensor, kinds: int) -> Tensor:
    """Return the group that most of each query's neighbours are of, int64 Q; of equally many, that of the nearest.

    Args:
        neighbours: k each.
        groups: int64, M; of the bank.
        kinds: Number of groups.
    """
    count = neighbours.numbers.shape[1]
    # what is added to a vote is more than all that is added to farther ones, and less than a vote in all
    weights = 1 + 0.5 ** torch.arange(1, count + 1, dtype=torch.float64)
    voted = groups[neighbours.numbers]  # Q k
    scores = torch.zeros(len(voted), kinds, dtype=torch.float64)
    return scores.scatter_add_(1, voted, weights.expand(len(voted), -1)).argmax(1)
