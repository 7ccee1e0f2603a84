"""Balanced sampling: every class equally often in an epoch, however many pictures it has."""

from __future__ import annotations

import torch
from torch import Tensor

from striate.core.random import Stream, permutation


def balanced_order(labels: Tensor, classes: int, seed: int, epoch: int) -> Tensor:
    """Return which pictures an epoch sees, in their order: a pure function of the arguments.

    There are as many as pictures, N. Each of the K classes with a picture comes N / K times, rounded down or, for as
    many classes as it takes, chosen anew in every epoch, up. Of a class with more pictures than that others are seen
    in every epoch; one with fewer shows all of them equally often, up to one time.

    Args:
        labels: int64, N.

    Returns:
        int64, N: a picture's number, plus N for each time that it came before in the epoch, so that what is drawn
        for it (its augmentation) is not the same again.
    """
    count = len(labels)
    counts = torch.bincount(labels, minlength=classes)
    filled = counts.nonzero().squeeze(1)
    quotas = torch.zeros_like(counts)
    quotas[filled] = count // len(filled)
    quotas[filled[permutation(seed, epoch, len(filled), Stream.CLASS)[: count % len(filled)]]] += 1
    by_class = torch.argsort(labels * count + permutation(seed, epoch, count, Stream.SAMPLE))
    drawn = torch.repeat_interleave(quotas)  # N, the class of each
    place = torch.arange(count) - (quotas.cumsum(0) - quotas)[drawn]
    first = (counts.cumsum(0) - counts)[drawn]
    times, within = place // counts[drawn], place % counts[drawn]
    return (by_class[first + within] + count * times)[permutation(seed, epoch, count)]
