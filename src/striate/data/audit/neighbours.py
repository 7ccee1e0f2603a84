"""All pairs of 64-bit codes within a Hamming distance, found without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012):
codes that differ in at most r bits, cut into m substrings, with r = m·q + a, differ in at most q bits in one of the
first a + 1 substrings, or in at most q − 1 bits in one of the others. So it is enough to look up each substring, and
those few bits away from it, in a table of that substring; what is found there is compared in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

_SUBSTRINGS, _BITS = 4, 16
_CHUNK = 2**21  # pairs compared at a time
MOST_COMPARED = 2 * 10**8
MOST_PAIRS = 10**6


def close_pairs(codes: Codes, radius: int, most: int = MOST_PAIRS) -> Numbers | None:
    """Return the pairs (i, j), int64 P 2, of codes at most `radius` bits apart, each once, in no certain order.

    Args:
        codes: 64-bit codes, N.
        radius: Hamming distance, 0 … 15.
        most: Pairs beyond which the search is given up.

    Returns:
        None where so many codes are so alike that there would be more pairs, or 2·10⁸ to compare.
    """
    whole, rest = divmod(radius, _SUBSTRINGS)
    allowed = [whole if number <= rest else whole - 1 for number in range(_SUBSTRINGS)]
    codes = np.ascontiguousarray(codes)
    substrings = codes.view(np.uint16).reshape(-1, _SUBSTRINGS)
    compared, count = 0, 0
    found = [np.empty((0, 2), np.int64)]
    for number, reach in enumerate(allowed):
        order = np.argsort(substrings[:, number], kind="stable")
        for positions, begin, lengths in _lookups(substrings[order, number], reach):
            compared += int(lengths.sum())
            if compared > MOST_COMPARED:
                return None
            for left, right in _expanded(positions, begin, lengths):
                pairs = _within(codes, order[left], order[right], radius, allowed[:number])
                count += len(pairs)
                if count > most:
                    return None
                found.append(pairs)
    return np.concatenate(found)


def _lookups(keys: NDArray[np.uint16], reach: int) -> Iterator[tuple[Numbers, Numbers, Numbers]]:
    """Yield, for each change of up to `reach` bits, which positions have partners, from where on, and how many.

    Args:
        keys: Substrings in ascending order; a position is one in this order.
    """
    starts = np.searchsorted(keys, np.arange(2**_BITS + 1))
    whole = keys.astype(np.int64)
    for changed in range(reach + 1):
        for bits in combinations(range(_BITS), changed):
            mask = sum(1 << bit for bit in bits)
            if mask:
                # each pair has one member in which the highest of the changed bits is 0: found from there alone
                positions = np.flatnonzero(whole & (1 << bits[-1]) == 0)
                begin = starts[whole[positions] ^ mask]
            else:
                positions = np.arange(len(keys))
                begin = positions + 1
            lengths = starts[(whole[positions] ^ mask) + 1] - begin
            kept = lengths > 0
            yield positions[kept], begin[kept], lengths[kept]


def _expanded(positions: Numbers, begin: Numbers, lengths: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the pairs (position, begin … begin + length − 1) as two arrays, some at a time."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(positions):
        done = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), start + 1)
        part = lengths[start:stop]
        before = np.repeat(np.cumsum(part) - part, part)
        steps = np.arange(len(before)) - before
        yield np.repeat(positions[start:stop], part), np.repeat(begin[start:stop], part) + steps
        start = stop


def _within(codes: Codes, left: Numbers, right: Numbers, radius: int, earlier: list[int]) -> Numbers:
    """Return the pairs within the radius that no earlier substring has found already."""
    differing = codes[left] ^ codes[right]
    kept = np.bitwise_count(differing) <= radius
    left, right, differing = left[kept], right[kept], differing[kept]
    parts = differing.view(np.uint16).reshape(-1, _SUBSTRINGS)
    new = np.ones(len(left), bool)
    for number, reach in enumerate(earlier):
        new &= np.bitwise_count(parts[:, number]) > reach
    return np.stack([left[new], right[new]], axis=1)


def connected(pairs: Numbers, count: int) -> Numbers:
    """Return for each of `count` things the smallest number among all that pairs connect it with, int64 N."""
    smallest = np.arange(count)
    if not len(pairs):
        return smallest
    while True:
        least = np.minimum(smallest[pairs[:, 0]], smallest[pairs[:, 1]])
        before = smallest.copy()
        for column in (0, 1):
            np.minimum.at(smallest, pairs[:, column], least)
        smallest = smallest[smallest]  # what is connected with what this one is connected with
        if np.array_equal(smallest, before):
            return smallest
