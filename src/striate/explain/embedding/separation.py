"""How well classes are apart in the hidden space: three figures that no map is needed for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import DataError
from striate.evaluation.metrics import wilson_interval
from striate.explain.embedding.neighbours import nearest, nearest_others, votes

NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Separation:
    """How well groups are apart; a group is a class, or a set of classes where pictures have any number of them.

    Args:
        count: Pictures.
        neighbours: Nearest other pictures that were looked at, of each.
        same_share: Mean share of them that are of the picture's own group.
        chance: What that share would be if groups lay in no order.
        knn_accuracy: Share of pictures whose neighbours' majority is of their group.
        knn_interval: Its 95 % interval (Wilson).
        silhouette: Mean silhouette by cosine distance, −1 … 1; None with fewer than two groups.
        group_share: float64, G; `same_share` of each group, NaN without pictures.
        group_silhouette: float64, G; likewise.
    """

    count: int
    neighbours: int
    same_share: float
    chance: float
    knn_accuracy: float
    knn_interval: tuple[float, float]
    silhouette: float | None
    group_share: Tensor
    group_silhouette: Tensor


def separation(values: Tensor, groups: Tensor, kinds: int, neighbours: int = NEIGHBOURS) -> Separation:
    """Return how well groups are apart, each picture judged by the others (leave one out).

    Args:
        values: Hidden values, float N F.
        groups: int64, N.
        kinds: Number of groups.
        neighbours: How many of each picture; all others where there are fewer.

    Raises:
        DataError: There are fewer than two pictures.
    """
    count = len(values)
    if count < 2:
        raise DataError("one picture has no neighbours", fix="give more pictures")
    near = nearest_others(values, neighbours)
    same = (groups[near.numbers] == groups[:, None]).double().mean(1)  # N
    hits = int((votes(near, groups, kinds) == groups).sum())
    sizes = torch.bincount(groups, minlength=kinds).double()
    own = silhouettes(values, groups, kinds)
    return Separation(
        count=count,
        neighbours=near.numbers.shape[1],
        same_share=float(same.mean()),
        chance=float((sizes * (sizes - 1)).sum() / (count * (count - 1))),
        knn_accuracy=hits / count,
        knn_interval=wilson_interval(hits, count),
        silhouette=None if own is None else float(own.mean()),
        group_share=_means(same, groups, kinds),
        group_silhouette=_means(torch.full_like(same, torch.nan) if own is None else own, groups, kinds),
    )


def knn_accuracy(
    values: Tensor, groups: Tensor, bank: Tensor, bank_groups: Tensor, neighbours: int = NEIGHBOURS
) -> tuple[float, tuple[float, float]]:
    """Return the share of pictures whose nearest pictures in a bank are mostly of their group, and its 95 % interval.

    Args:
        values: Hidden values, float N F.
        groups: int64, N.
        bank: Float, M F; of training pictures.
        bank_groups: int64, M.
        neighbours: How many of each picture.
    """
    kinds = int(max(groups.max(), bank_groups.max())) + 1
    hits = int((votes(nearest(values, bank, neighbours), bank_groups, kinds) == groups).sum())
    return hits / len(values), wilson_interval(hits, len(values))


def silhouettes(values: Tensor, groups: Tensor, kinds: int) -> Tensor | None:
    """Return each picture's silhouette by cosine distance, float64 N; None with fewer than two groups.

    (b − a) / max(a, b), where a is the mean distance to the others of its group and b that to the nearest other
    group; 0 for a picture that is alone in its group (Rousseeuw 1987). Distances to a whole group need no pairs: the
    mean of 1 − cos is 1 less the product with the group's mean of unit vectors.

    Args:
        values: Float, N F.
        groups: int64, N.
        kinds: Number of groups.
    """
    sizes = torch.bincount(groups, minlength=kinds).double()  # G
    if int((sizes > 0).sum()) < 2:
        return None
    units = F.normalize(values.double(), dim=1)  # N F
    sums = torch.zeros(kinds, units.shape[1], dtype=torch.float64).index_add_(0, groups, units)
    products = units @ sums.T  # N G
    rows = torch.arange(len(values))
    mates = sizes[groups] - 1
    itself = units.square().sum(1)
    within = (mates - (products[rows, groups] - itself)) / mates.clamp_min(1)
    between = torch.where(sizes > 0, 1 - products / sizes.clamp_min(1), torch.inf)
    between[rows, groups] = torch.inf
    outside = between.amin(1)
    scores = (outside - within) / torch.maximum(outside, within).clamp_min(1e-12)
    return torch.where(mates > 0, scores, 0.0)


def _means(figures: Tensor, groups: Tensor, kinds: int) -> Tensor:
    sums = torch.zeros(kinds, dtype=torch.float64).index_add_(0, groups, figures)
    return sums / torch.bincount(groups, minlength=kinds)
