"""Colours and marks of many groups: a few colours that everybody can tell apart, far from each other where repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Okabe and Ito 2008, without black, which marks errors, and yellow, which is too pale on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Style:
    """How a group is drawn.

    Args:
        colour: Hexadecimal.
        mark: Of matplotlib.
    """

    colour: str
    mark: str


def styles(values: Tensor, groups: Tensor, kinds: int) -> Sequence[Style]:
    """Return a style for each group; up to six groups have colours of their own.

    Of more groups those that share a colour are as unlike as can be had, going through them in their order, and have
    different marks as long as there are any.

    Args:
        values: Hidden values, float N F.
        groups: int64, N.
        kinds: Number of groups.
    """
    sizes = torch.bincount(groups, minlength=kinds)
    sums = torch.zeros(kinds, values.shape[1], dtype=torch.float64).index_add_(0, groups, values.double())
    centres = F.normalize(sums - sums.sum(0) * (sizes / len(groups))[:, None], dim=1)  # seen from the middle of all
    alike = centres @ centres.T  # G G
    owners: list[list[int]] = [[] for _ in COLOURS]
    chosen = []
    for group in range(kinds):
        fewest = min(map(len, owners))
        free = [number for number, owned in enumerate(owners) if len(owned) == fewest]
        colour = min(free, key=lambda number: max((float(alike[group, other]) for other in owners[number]), default=0))
        chosen.append(Style(COLOURS[colour], MARKS[len(owners[colour]) % len(MARKS)]))
        owners[colour].append(group)
    return chosen
