"""Pictures that are nearly the same: candidates by perceptual hash, confirmed pixel by pixel.

A hash of 64 bits says of many digits, logos or plain pictures that they are the same. So each candidate pair is
compared once more: as pictures of at most 32 … 63 pixels a side, freed of brightness and contrast, both the values and
the differences of brightness from pixel to pixel have to agree. The second is what two copies share and two
photographs of one thing do not. Two simple drawings may, so the less there is in a picture, the more it takes. The
limits were found on MNIST, Fashion-MNIST, CIFAR-10 and faces, beside copies of the same pictures saved again as JPEG.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from striate.data.audit.neighbours import Codes, Numbers, close_pairs
from striate.data.audit.perceptual import brightness, dct_hash, difference_hash, fine_detail
from striate.data.audit.pictures import Pictures

LEAST_SIDE = 16  # pixels; in smaller pictures there is too little to tell copies from look-alikes
RADII = (7, 3)  # bits of the first hash; the second where the first finds too many pairs
SECOND_RADIUS = 10  # bits of the other hash
# least correlations of values and of differences: of a drawing on plain ground, and of a photograph
DRAWING, PHOTOGRAPH = torch.tensor([0.98, 0.95]), torch.tensor([0.95, 0.80])
FROM, TO = 0.3, 0.7  # shares of the pixels that differ from the next: up to this a drawing, from this a photograph
STEP = 2.0  # levels by which they differ then
EDGE = 32.0  # levels beyond which a difference counts no more: the outline of a thing is not all there is to see
PLAIN = 4.0  # deviation, in levels, under which a picture shows next to nothing
FINE, FINE_FROM = 0.0025, 24  # share of detail beyond LEAST_SIDE under which a picture of so large a side is too smooth
_SIDE = 32
_PAIRS = 2**12  # compared at a time


def near_duplicates(pictures: Pictures, among: Numbers) -> Numbers | None:
    """Return the pairs of pictures that are nearly the same, int64 P 2, the smaller number first, in ascending order.

    Args:
        pictures: Those with sides under 16 pixels, or enlarged from such ones, are in no pair.
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
    confirmed: Numbers = pairs[_confirmed(pictures, pairs)]
    return confirmed


def _hashes(pictures: Pictures) -> tuple[Codes, Codes, NDArray[np.bool_]]:
    """Return both hashes of each picture, and whether it shows too little to compare."""
    first, second, plain = [], [], []
    for images in pictures.batches():
        grey = brightness(images)
        first.append(dct_hash(grey))
        second.append(difference_hash(grey))
        little = grey.flatten(1).std(1) < PLAIN
        if min(grey.shape[1:]) >= FINE_FROM:
            little |= fine_detail(grey, LEAST_SIDE) < FINE
        plain.append(little.numpy())
    return np.concatenate(first), np.concatenate(second), np.concatenate(plain)


def _confirmed(pictures: Pictures, pairs: Numbers) -> NDArray[np.bool_]:
    """Return whether each pair agrees in its values and in their differences, bool P."""
    said = [np.empty(0, bool)]
    for start in range(0, len(pairs), _PAIRS):
        part = pairs[start : start + _PAIRS]
        numbers, places = np.unique(part, return_inverse=True)
        left, right = torch.from_numpy(places.reshape(part.shape)).unbind(1)
        images = pictures.images(torch.from_numpy(numbers))
        values = F.avg_pool2d(images.float(), max(min(images.shape[2:]) // _SIDE, 1)).flatten(1)
        differences = _differences(brightness(images))
        detail = (differences.abs() > STEP).float().mean(1)
        share = ((torch.minimum(detail[left], detail[right]) - FROM) / (TO - FROM)).clamp(0, 1)
        least = torch.lerp(DRAWING, PHOTOGRAPH, share[:, None])
        compared = values, differences.clamp(-EDGE, EDGE)
        found = torch.stack([_correlations(rows, left, right) for rows in compared], 1)
        said.append((found >= least).all(1).numpy())
    return np.concatenate(said)


def _differences(grey: Tensor) -> Tensor:
    """Return the differences of brightness (N h w) to the next pixel to the right and below, N D."""
    return torch.cat([grey.diff(dim=2).flatten(1), grey.diff(dim=1).flatten(1)], 1)


def _correlations(rows: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the correlation of each pair of rows (N D), P."""
    rows = F.normalize(rows - rows.mean(1, keepdim=True))
    return (rows[left] * rows[right]).sum(1)
