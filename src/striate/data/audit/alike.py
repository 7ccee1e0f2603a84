"""Pictures that are nearly the same: candidates by perceptual hash, confirmed pixel by pixel.

A hash of 64 bits says of many digits, logos or plain pictures that they are the same. So each candidate pair is
compared once more: as pictures of at most 32 … 63 pixels a side, freed of brightness and contrast, both the values and
their differences from pixel to pixel have to agree. The second is what two copies share and two drawings of the
same thing do not.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from striate.data.audit.neighbours import Numbers, close_pairs
from striate.data.audit.perceptual import brightness, dct_hash, difference_hash
from striate.data.audit.pictures import Pictures

LEAST_SIDE = 16  # pixels; in smaller pictures there is too little to tell copies from look-alikes
RADII = (7, 3)  # bits of the first hash; the second where the first finds too many pairs
SECOND_RADIUS = 14  # bits of the other hash
VALUES, DIFFERENCES = 0.98, 0.95  # least correlations
PLAIN = 4.0  # deviation, in levels, under which a picture shows next to nothing
_SIDE = 32
_PAIRS = 2**12  # compared at a time


def near_duplicates(pictures: Pictures, among: Numbers) -> Numbers | None:
    """Return the pairs of pictures that are nearly the same, int64 P 2, the smaller number first, in ascending order.

    Args:
        pictures: With sides of 16 pixels or more; of smaller ones no pair is returned.
        among: The numbers of those to compare, ascending; of equal pictures one is enough.

    Returns:
        None where the pictures are all so alike that hashes do not tell them apart.
    """
    if min(pictures.shape[1:]) < LEAST_SIDE:
        return np.empty((0, 2), np.int64)
    first, second, plain = _hashes(pictures)
    among = among[~plain[among]]
    for radius in RADII:
        pairs = close_pairs(first[among], radius)
        if pairs is not None:
            break
    else:
        return None
    pairs = among[np.sort(pairs, axis=1)]
    pairs = pairs[np.bitwise_count(second[pairs[:, 0]] ^ second[pairs[:, 1]]) <= SECOND_RADIUS]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return pairs[_confirmed(pictures, pairs)]


def _hashes(pictures: Pictures) -> tuple[Numbers, Numbers, Numbers]:
    first, second, plain = [], [], []
    for images in pictures.batches():
        grey = brightness(images)
        first.append(dct_hash(grey))
        second.append(difference_hash(grey))
        plain.append((grey.flatten(1).std(1) < PLAIN).numpy())
    return np.concatenate(first), np.concatenate(second), np.concatenate(plain)


def _confirmed(pictures: Pictures, pairs: Numbers) -> Numbers:
    """Return whether each pair agrees in its values and in their differences, bool P."""
    said = []
    for start in range(0, len(pairs), _PAIRS):
        part = pairs[start : start + _PAIRS]
        numbers, places = np.unique(part, return_inverse=True)
        places = places.reshape(part.shape)
        small = _small(pictures.images(torch.from_numpy(numbers)))
        said.append(_agree(small, places, VALUES) & _agree(_differences(small), places, DIFFERENCES))
    return np.concatenate(said) if said else np.empty(0, bool)


def _small(images: Tensor) -> Tensor:
    """Return pictures averaged down to 32 … 63 pixels a side, float32, N C h w."""
    return F.avg_pool2d(images.float(), max(min(images.shape[2:]) // _SIDE, 1))


def _differences(images: Tensor) -> Tensor:
    """Return the differences to the next pixel to the right and below, N D."""
    across = images[:, :, :, 1:] - images[:, :, :, :-1]
    down = images[:, :, 1:] - images[:, :, :-1]
    return torch.cat([across.flatten(1), down.flatten(1)], 1)


def _agree(values: Tensor, places: Numbers, least: float) -> Numbers:
    """Return whether the correlation of each pair's values is `least` or more, bool P."""
    rows = values.flatten(1)
    rows = F.normalize(rows - rows.mean(1, keepdim=True))
    left, right = (rows[torch.from_numpy(places[:, side])] for side in (0, 1))
    told: Numbers = ((left * right).sum(1) >= least).numpy()
    return told
