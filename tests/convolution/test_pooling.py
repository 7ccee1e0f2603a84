"""Pooling against torch, and what it does to a picture that moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional as F

from striate.convolution import average_pool, global_average_pool, max_pool
from striate.convolution.examples import EXAMPLES, shift
from striate.core.errors import SettingsError

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
few = settings(max_examples=40, deadline=None)


@few
@given(d=st.integers(1, 3), overlapping=st.booleans(), seed=st.integers(0, 999), data=st.data())
def test_max_and_average_pooling_are_those_of_torch(d, overlapping, seed, data) -> None:
    size = data.draw(st.tuples(*[st.integers(1, 4)] * d))
    stride = data.draw(st.tuples(*[st.integers(1, 3)] * d)) if overlapping else None
    padding = tuple(data.draw(st.integers(0, m // 2)) for m in size)  # torch takes no more
    shape = tuple(data.draw(st.integers(m, m + 4)) for m in size)
    maps = np.random.default_rng(seed).normal(size=(2, *shape))
    theirs = torch.tensor(maps)[None]
    assert_array_equal(max_pool(maps, size, stride, padding, axes=d), MAX[d](theirs, size, stride, padding)[0].numpy())
    assert_allclose(
        average_pool(maps, size, stride, padding, axes=d), AVERAGE[d](theirs, size, stride, padding)[0].numpy()
    )


def test_overlapping_pooling_of_alexnet() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 55, 55))
    pooled = max_pool(maps, size=3, stride=2)
    assert pooled.shape == (3, 27, 27)
    assert_array_equal(pooled, F.max_pool2d(torch.tensor(maps), 3, 2).numpy())


def test_the_border_never_wins() -> None:
    assert max_pool(-np.ones((2, 2)), 2, padding=1).tolist() == [[-1, -1], [-1, -1]]


@few
@given(arrays(float, (3, 4, 5), elements=st.integers(-9, 9).map(float)), st.integers(0, 3), st.integers(0, 4))
def test_global_average_is_torchs_and_no_cyclic_shift_changes_it(maps, down, right) -> None:
    means = global_average_pool(maps)
    assert_allclose(means, F.adaptive_avg_pool2d(torch.tensor(maps), 1)[:, 0, 0].numpy(), atol=1e-12)
    assert_allclose(global_average_pool(np.roll(maps, (down, right), axis=(1, 2))), means, atol=1e-12)


def test_a_move_inside_the_windows_changes_nothing_and_a_move_by_the_stride_moves_the_result() -> None:
    picture, by_one, by_two = EXAMPLES["invariance"].pictures.values()
    assert (picture != by_one).sum() == 8, "most of what is not zero has moved"
    assert_array_equal(max_pool(by_one), max_pool(picture))
    assert_array_equal(max_pool(by_two), shift(max_pool(picture), 0, 1))
    assert (average_pool(by_one) == average_pool(picture)).all(), "inside its windows, the mean too"


@few
@given(arrays(float, (4, 4), elements=st.integers(0, 9).map(float)), st.integers(2, 4), st.integers(0, 2))
def test_pooling_a_picture_moved_by_strides_moves_the_pooled_picture(picture, size, steps) -> None:
    wide = np.pad(picture, 2 * size * 3)
    moved = shift(wide, steps * size, steps * size)
    for pool in (max_pool, average_pool):
        assert_array_equal(pool(moved, size), shift(pool(wide, size), steps, steps))


@few
@given(arrays(float, (8, 8), elements=st.integers(0, 9).map(float)))
def test_invariance_is_local_only_a_move_by_one_can_change_the_result(picture) -> None:
    # windows that look one cell further than both tiles bound what a move by one can do
    bound = max_pool(np.pad(picture, ((0, 0), (1, 0))), (2, 3), 2)
    assert (max_pool(shift(picture, 0, 1)) <= bound).all()
    assert (max_pool(picture) <= bound).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 5}, "a window of 5 does not fit"),
        ({"size": 2, "padding": 2}, "hold a whole window of 2"),
        ({"size": (2, 2, 2)}, "expected 2 whole numbers"),
        ({"size": 0}, "from 1 up"),
        ({"size": 2, "axes": 3}, "cannot pool 3 axes"),
    ],
)
def test_what_cannot_be_pooled_is_said(arguments, message) -> None:
    with pytest.raises(SettingsError, match=message):
        max_pool(np.ones((4, 4)), **arguments)


def test_moves_go_down_and_right() -> None:
    with pytest.raises(SettingsError, match="0 or more"):
        shift(np.ones((2, 2)), -1, 0)
