"""Fractional max pooling: what Graham (2014) asks of the tiles, and their maxima by another way."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from striate.convolution import fractional_max_pool
from striate.convolution.fractional import tile_borders
from striate.core.errors import SettingsError

few = settings(max_examples=60, deadline=None)
sequences = st.sampled_from(["random", "pseudorandom"])


@few
@given(n=st.integers(1, 40), data=st.data(), sequence=sequences, seed=st.integers(0, 999))
def test_tiles_cover_every_cell_once_and_are_alpha_rounded_down_or_up(n, data, sequence, seed) -> None:
    tiles = data.draw(st.integers(1, n))
    borders = tile_borders(n, tiles, np.random.default_rng(seed), sequence)
    lengths = np.diff(borders)
    assert (borders[0], borders[-1], len(lengths)) == (0, n, tiles)
    assert set(lengths) <= {n // tiles, -(-n // tiles)}


def test_for_alpha_between_1_and_2_tiles_are_ones_and_twos_as_in_the_paper() -> None:
    lengths = np.diff(tile_borders(25, 18, np.random.default_rng(0)))
    assert Counter(lengths.tolist()) == {1: 11, 2: 7}


def test_pseudorandom_borders_follow_the_papers_formula() -> None:
    n, tiles = 25, 18
    seen = {tuple(tile_borders(n, tiles, np.random.default_rng(seed), "pseudorandom")) for seed in range(300)}
    i = np.arange(tiles + 1)
    for t in np.linspace(0.001, 0.999, 50):
        assert tuple((np.ceil(n / tiles * i + t - 1e-9) - np.ceil(t)).astype(int)) in seen
    assert len(seen) == tiles


@few
@given(
    shape=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    data=st.data(),
    sequence=sequences,
    seed=st.integers(0, 999),
)
def test_values_are_the_maxima_of_the_tiles(shape, data, sequence, seed) -> None:
    output = tuple(data.draw(st.integers(1, n)) for n in shape)
    maps = np.random.default_rng(seed).normal(size=(2, *shape))
    pooled = fractional_max_pool(maps, output, np.random.default_rng(seed), sequence)
    rng = np.random.default_rng(seed)
    rows, columns = (tile_borders(n, o, rng, sequence) for n, o in zip(shape, output, strict=True))
    by_rows = np.maximum.reduceat(maps, rows[:-1], axis=1)
    assert_array_equal(pooled, np.maximum.reduceat(by_rows, columns[:-1], axis=2))


def test_overlapping_tiles_take_in_the_next_row_and_column() -> None:
    maps = np.random.default_rng(1).normal(size=(10, 11))
    pooled = fractional_max_pool(maps, (7, 8), np.random.default_rng(5), overlapping=True)
    rng = np.random.default_rng(5)
    rows, columns = tile_borders(10, 7, rng), tile_borders(11, 8, rng)
    for i, (top, bottom) in enumerate(pairwise(rows)):
        for j, (left, right) in enumerate(pairwise(columns)):
            assert pooled[i, j] == maps[top : bottom + 1, left : right + 1].max()
    assert (pooled >= fractional_max_pool(maps, (7, 8), np.random.default_rng(5))).all()


def test_where_alpha_is_whole_it_is_plain_max_pooling() -> None:
    maps = np.random.default_rng(2).normal(size=(3, 12, 8))
    pooled = fractional_max_pool(maps, (6, 4), np.random.default_rng(0))
    assert_array_equal(pooled, torch.nn.functional.max_pool2d(torch.tensor(maps), 2).numpy())


def test_the_generator_alone_decides() -> None:
    maps = np.random.default_rng(3).normal(size=(20, 20))
    first, again, other = (fractional_max_pool(maps, 13, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert_array_equal(first, again)
    assert (first != other).any()


def test_what_cannot_be_tiled_is_said() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match="expected 1 … 4 tiles"):
        fractional_max_pool(np.ones((4, 4)), 5, rng)
    with pytest.raises(SettingsError, match="rows and columns"):
        fractional_max_pool(np.ones(4), 2, rng)
    with pytest.raises(SettingsError, match="random or pseudorandom"):
        tile_borders(4, 2, rng, "even")  # type: ignore[arg-type]
