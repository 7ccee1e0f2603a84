"""Codes close to each other are all found, once, as comparing all pairs finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from striate.data.audit.neighbours import close_pairs, connected


def by_comparing_all(codes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    distances = np.bitwise_count(codes[:, None] ^ codes[None])
    return {(i, j) for i, j in zip(*np.nonzero(distances <= radius), strict=True) if i < j}


def as_set(pairs: np.ndarray | None) -> set[tuple[int, int]]:
    assert pairs is not None
    found = [tuple(sorted(pair)) for pair in pairs.tolist()]
    assert len(found) == len(set(found)), "a pair twice"
    return set(found)


def clustered(count: int, seed: int, bits: int) -> np.ndarray:
    """Codes of which many differ in few bits: each is one of a few centres with up to `bits` bits turned."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, max(count // 8, 1), dtype=np.uint64)
    turned = rng.integers(0, 64, (count, bits))
    masks = np.bitwise_or.reduce(np.uint64(1) << turned.astype(np.uint64), axis=1)
    return rng.choice(centres, count) ^ masks


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 150), seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 9), radius=st.integers(0, 15))
def test_the_pairs_are_those_of_comparing_all(count: int, seed: int, bits: int, radius: int) -> None:
    codes = clustered(count, seed, bits)
    assert as_set(close_pairs(codes, radius)) == by_comparing_all(codes, radius)


def test_equal_codes_are_paired_with_each_other_once() -> None:
    codes = np.array([7, 9, 7, 7, 2**63, 2**63], np.uint64)
    assert as_set(close_pairs(codes, 0)) == {(0, 2), (0, 3), (2, 3), (4, 5)}


def test_a_search_in_codes_that_are_all_alike_is_given_up() -> None:
    assert close_pairs(np.zeros(3_000, np.uint64), 3, most=10_000) is None
    assert close_pairs(np.zeros(100, np.uint64), 3, most=10_000) is not None


def test_no_codes_have_no_pairs() -> None:
    assert as_set(close_pairs(np.empty(0, np.uint64), 5)) == set()


@pytest.mark.parametrize("seed", range(5))
def test_connected_is_what_scipy_makes_of_the_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 200
    pairs = rng.integers(0, count, (rng.integers(0, 150), 2))
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, expected = connected_components(graph, directed=False)
    found = connected(pairs, count)
    np.testing.assert_array_equal(found[:, None] == found[None], expected[:, None] == expected[None])
    assert (found <= np.arange(count)).all()
