"""How hard a data set is, before anything is trained: the error of the nearest neighbour in pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from striate.core.random import permutation
from striate.data.dataset import ImageDataset
from striate.evaluation.decision import is_right

REFERENCES, QUERIES = 5000, 1000
SIDE = 32
CHUNK = 2**22  # values taken as floats at a time


def neighbour_error(data: ImageDataset) -> float:
    """Return the share of a sample whose nearest neighbour in the rest of the sample is of another class.

    Of pictures with any number of classes, it is the share whose neighbour has not exactly the same ones.

    The measure N3 of Ho and Basu ("Complexity measures of supervised classification problems", 2002),
    with Euclidean distance between pictures averaged down to at most 32 pixels a side. Digits come to a
    few per cent, clothes to about 20, photographs to 50 and more; it takes a fraction of a second.
    """
    order = permutation(0, 0, len(data))[: REFERENCES + QUERIES]
    factor = max(min(data.input_shape[1:]) // SIDE, 1)
    # a few at a time: as floats, large pictures would fill the memory
    parts = order.split(max(CHUNK // data.images[0].numel(), 1))
    points = torch.cat([F.avg_pool2d(data.images[part].float(), factor).flatten(1) for part in parts])
    labels = data.labels[order]
    queries = min(QUERIES, len(order))
    distances = torch.cdist(points[:queries], points)
    distances[torch.arange(queries), torch.arange(queries)] = torch.inf  # not itself
    nearest = distances.argmin(1)
    return float((~is_right(labels[nearest], labels[:queries])).double().mean())
