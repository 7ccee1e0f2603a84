"""Perceptual hashes: 64 bits of a picture that stay as they are when it is saved again, resized or a little brighter.

Both come from the brightness alone, averaged down by a whole factor to 32 … 63 pixels a side where it is larger.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_BT601 = (0.299, 0.587, 0.114)  # brightness of red, green and blue
_SIDE = 32
_LOWEST = 8
_STEP = 2.0  # levels by which a neighbour has to be brighter: noise on a plain background is less


def brightness(images: Tensor) -> Tensor:
    """Return the brightness of pictures (uint8, N C H W) on 0 … 255, averaged down: float32, N h w."""
    factor = max(min(images.shape[2:]) // _SIDE, 1)
    small = F.avg_pool2d(images.float(), factor)
    if small.shape[1] == 1:
        return small[:, 0]
    red, green, blue = _BT601
    return red * small[:, 0] + green * small[:, 1] + blue * small[:, 2]


def dct_hash(grey: Tensor) -> NDArray[np.uint64]:
    """Return the perceptual hash by the discrete cosine transform, N.

    A bit says whether one of the 8 × 8 lowest frequencies of the two-dimensional DCT-II is above their median
    (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).

    Args:
        grey: float32, N h w.
    """
    lowest = _lowest_frequencies(grey, _LOWEST).flatten(1)  # N 64
    return _packed(lowest > lowest.median(1, keepdim=True).values)


def difference_hash(grey: Tensor) -> NDArray[np.uint64]:
    """Return the difference hash, N: of 8 × 9 cells, whether the next in the row is brighter (Krawetz, 2013).

    Args:
        grey: On 0 … 255, float32, N h w.
    """
    cells = F.adaptive_avg_pool2d(grey[:, None], (8, 9))[:, 0]
    return _packed((cells[:, :, 1:] - cells[:, :, :-1] > _STEP).flatten(1))


def fine_detail(grey: Tensor, side: int) -> Tensor:
    """Return which share of each picture's variance a picture of `side` × `side` pixels could not hold, N.

    That is the energy of all frequencies beyond the `side` × `side` lowest ones; of a picture that was enlarged from
    such a small one there is next to none.

    Args:
        grey: float32, N h w.
    """
    energy = _lowest_frequencies(grey, side).square()
    total = grey.square().sum((1, 2))
    constant = energy[:, 0, 0]
    return (total - energy.sum((1, 2))) / (total - constant).clamp_min(1e-6)


def _lowest_frequencies(grey: Tensor, count: int) -> Tensor:
    """Return the `count` × `count` lowest frequencies of the orthonormal two-dimensional DCT-II."""
    height, width = grey.shape[1:]
    return _cosines(height, count) @ grey @ _cosines(width, count).T


def _cosines(length: int, count: int) -> Tensor:
    """Return the `count` lowest rows of the orthonormal DCT-II, float32, `count` `length`."""
    frequency, place = torch.arange(count)[:, None], torch.arange(length)[None]
    rows = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * length)) * math.sqrt(2 / length)
    rows[0] /= math.sqrt(2)
    return rows


def _packed(bits: Tensor) -> NDArray[np.uint64]:
    return np.packbits(bits.numpy(), axis=1).view(np.uint64)[:, 0]
