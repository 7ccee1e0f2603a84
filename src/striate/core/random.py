"""Randomness as a pure function of where it is used: no generator, no state, nothing to save.

A random number is a function of (seed, epoch, sample index, stream), so it does not matter which
process, device, batch or order asked for it, and a resumed run draws what the killed one would have
drawn. The function is Philox-4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC 2011), a counter-based generator that passes BigCrush, in 64-bit integer arithmetic that
gives equal results on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import torch
from torch import Tensor

from striate.core.device import constant

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


class Stream(IntEnum):
    """What a random number is for; every use has its own stream, so that no two are correlated."""

    SHUFFLE = 0
    SPLIT = 1
    FLIP_HORIZONTAL = 2
    FLIP_VERTICAL = 3
    ROTATE = 4
    ZOOM = 5
    SHIFT_X = 6
    SHIFT_Y = 7
    CROP_AREA = 8
    CROP_RATIO = 9
    CROP_X = 10
    CROP_Y = 11
    BRIGHTNESS = 12
    CONTRAST = 13
    SATURATION = 14
    HUE = 15
    ERASE = 16
    ERASE_AREA = 17
    ERASE_RATIO = 18
    ERASE_X = 19
    ERASE_Y = 20
    MIX_CHOICE = 21
    MIX_SHARE = 22
    MIX_X = 23
    MIX_Y = 24
    STEP = 25
    WINDOW_X = 26
    WINDOW_Y = 27
    SAMPLE = 30
    CLASS = 31


W = TypeVar("W", int, Tensor)


def philox(counter: tuple[W, W, W, W], key: tuple[int, int]) -> tuple[W, W, W, W]:
    """Return the four 32-bit words of Philox-4x32-10 for each counter.

    Args:
        counter: Four words in [0, 2³²): integers, or int64 tensors of one shape.
        key: Two integers in [0, 2³²).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The product of two 32-bit numbers needs 64 bits; int64 holds them as a bit pattern.
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((product1 >> 32) & _MASK) ^ c1 ^ k0,
            product1 & _MASK,
            ((product0 >> 32) & _MASK) ^ c3 ^ k1,
            product0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def _words(seed: int, epoch: int, indices: Tensor, stream: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    indices, stream = torch.broadcast_tensors(indices, stream)
    counter = (indices & _MASK, (indices >> 32) & _MASK, torch.full_like(indices, epoch & _MASK), stream)
    return philox(counter, (seed & _MASK, (seed >> 32) & _MASK))


def uniform(seed: int, epoch: int, indices: Tensor, stream: int | Sequence[int]) -> Tensor:
    """Return float32 numbers, uniform on [0, 1) in steps of 2⁻²⁴, a pure function of the arguments.

    Args:
        seed: The run's seed, 0 ≤ seed < 2⁶⁴.
        epoch: The epoch, 0 ≤ epoch < 2³².
        indices: int64 sample indices ≥ 0 of any shape; the result is on their device.
        stream: What the numbers are for; with several streams the result gains a last axis, one entry each.
    """
    if isinstance(stream, Sequence):
        streams = constant([int(s) for s in stream], indices.device)
        word = _words(seed, epoch, indices[..., None], streams)[0]
    else:
        word = _words(seed, epoch, indices, constant(int(stream), indices.device))[0]
    return (word >> 8).to(torch.float32) * 2.0**-24


def permutation(seed: int, epoch: int, count: int, stream: int = Stream.SHUFFLE) -> Tensor:
    """Return the numbers 0 … count−1 in a random order (int64), a pure function of the arguments."""
    word0, word1, _, _ = _words(seed, epoch, torch.arange(count), torch.tensor(int(stream)))
    return torch.argsort((word0 << 31) ^ word1, stable=True)


def step_seed(seed: int, step: int) -> int:
    """Return the 32-bit seed with which torch's own generator starts training step `step` (dropout)."""
    key = (seed & _MASK, (seed >> 32) & _MASK)
    return philox((step & _MASK, step >> 32, 0, int(Stream.STEP)), key)[0]


def start_generator(device: torch.device, seed: int) -> None:
    """Start the generator with which torch draws on a device (dropout) from a seed.

    torch.manual_seed does it for every kind of device; where CUDA is not there it writes down the call stack each
    time, which takes up to half a millisecond.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
