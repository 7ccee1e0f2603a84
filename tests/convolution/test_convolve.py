"""Convolution against numpy.convolve, scipy and torch, over shapes nobody chose; the documents' numbers; laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, signal

from striate.convolution import convolve, cross_correlate
from striate.core.errors import SettingsError

MODES = ("full", "same", "valid")
TORCH_CONV = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}
few = settings(max_examples=40, deadline=None)
small_numbers = st.integers(-9, 9).map(float)  # so that sums are exact and results can be compared as equal


@st.composite
def inputs_and_kernels(draw, axes: tuple[int, ...] = (1, 2, 3), odd: bool = False):
    """An input and a kernel that is no longer than it along any axis."""
    d = draw(st.sampled_from(axes))
    kernel_side = st.sampled_from([1, 3, 5] if odd else [1, 2, 3, 4, 5])
    window = draw(st.tuples(*[kernel_side] * d))
    shape = tuple(draw(st.integers(m, m + 4)) for m in window)
    return draw(arrays(float, shape, elements=small_numbers)), draw(arrays(float, window, elements=small_numbers))


def test_the_documents_signal() -> None:
    x, w = [1, 3, 2, 4, 5, 6, 1, 3], [1, 0, 3, 1, 2]
    expected = [5, 14, 16, 26, 24, 34, 19, 22]
    assert convolve(x, w, padding=2, stride=1).tolist() == expected
    assert convolve(x, w, padding="same").tolist() == expected


def test_the_documents_picture() -> None:
    x = [[1, 3, 2, 4], [5, 6, 1, 3], [1, 2, 0, 2], [3, 4, 3, 2]]
    w = [[1, 0, 3], [1, 2, 1], [0, 1, 1]]
    expected = [[11, 25, 32, 13], [19, 25, 24, 13], [13, 28, 25, 17], [11, 17, 14, 9]]
    assert convolve(x, w, padding=(1, 1), stride=(1, 1)).tolist() == expected


@few
@given(inputs_and_kernels(axes=(1,)), st.sampled_from(MODES))
def test_one_axis_is_numpy_convolve(pair, mode) -> None:
    x, w = pair
    assert_array_equal(convolve(x, w, mode), np.convolve(x, w, mode))


@few
@given(inputs_and_kernels(axes=(2,)), st.sampled_from(MODES))
def test_two_axes_are_scipy_convolve2d_and_correlate2d(pair, mode) -> None:
    x, w = pair
    assert_array_equal(convolve(x, w, mode), signal.convolve2d(x, w, mode))
    if mode != "same" or all(m % 2 for m in w.shape):
        assert_array_equal(cross_correlate(x, w, mode), signal.correlate2d(x, w, mode))


@few
@given(inputs_and_kernels(), st.sampled_from(MODES), st.data())
def test_any_axes_and_strides_are_every_sth_value_of_scipy(pair, mode, data) -> None:
    x, w = pair
    stride = data.draw(st.tuples(*[st.integers(1, 3)] * x.ndim))
    every = tuple(slice(None, None, s) for s in stride)
    assert_array_equal(convolve(x, w, mode, stride), signal.convolve(x, w, mode, method="direct")[every])
    assert_array_equal(cross_correlate(x, w, mode, stride), signal.correlate(x, w, mode, method="direct")[every])


@few
@given(inputs_and_kernels(odd=True))
def test_same_is_scipy_ndimage_with_zeros_outside(pair) -> None:
    x, w = pair
    assert_array_equal(convolve(x, w, "same"), ndimage.convolve(x, w, mode="constant"))
    assert_array_equal(cross_correlate(x, w, "same"), ndimage.correlate(x, w, mode="constant"))


@few
@given(inputs_and_kernels(), st.data())
def test_cross_correlation_is_what_torch_calls_convolution(pair, data) -> None:
    x, w = pair
    padding = data.draw(st.tuples(*[st.integers(0, 3)] * x.ndim))
    stride = data.draw(st.tuples(*[st.integers(1, 3)] * x.ndim))
    theirs = TORCH_CONV[x.ndim](torch.tensor(x)[None, None], torch.tensor(w)[None, None], None, stride, padding)
    assert_array_equal(cross_correlate(x, w, padding, stride), theirs[0, 0].numpy())


def test_an_even_window_gets_its_odd_zero_before_the_input_in_torch_and_correlate2d_after_it() -> None:
    x, w = [1.0, 2.0, 3.0], [1.0, 10.0]
    assert cross_correlate(x, w, "same").tolist() == [10, 21, 32]
    assert signal.correlate(x, w, "same").tolist() == [10, 21, 32]
    assert signal.correlate2d([x], [w], "same").tolist() == [[21, 32, 3]]
    with warnings.catch_warnings(action="ignore"):  # torch says that it copies the input
        theirs = torch.nn.functional.conv1d(torch.tensor([[x]]), torch.tensor([[w]]), padding="same")
    assert theirs[0, 0].tolist() == [21, 32, 3]


@few
@given(inputs_and_kernels())
def test_order_does_not_matter_to_full_convolution(pair) -> None:
    x, w = pair
    assert_array_equal(convolve(x, w, "full"), convolve(w, x, "full"))


@few
@given(inputs_and_kernels(axes=(2,)), arrays(float, (2, 3), elements=small_numbers))
def test_two_convolutions_are_one_with_the_convolved_kernel(pair, second) -> None:
    x, w = pair
    assert_array_equal(
        convolve(convolve(x, w, "full"), second, "full"), convolve(x, convolve(w, second, "full"), "full")
    )


@few
@given(inputs_and_kernels(odd=True))
def test_a_symmetric_kernel_makes_no_difference_between_the_two(pair) -> None:
    x, w = pair
    symmetric = w + np.flip(w)
    assert_array_equal(convolve(x, symmetric, "same"), cross_correlate(x, symmetric, "same"))


def test_modes_can_differ_by_axis() -> None:
    x, w = np.arange(20.0).reshape(4, 5), np.ones((3, 3))
    assert_array_equal(convolve(x, w, ("valid", "full")), convolve(x, w, "full")[2:-2])


def test_pixels_do_not_wrap_around() -> None:
    bright = np.full((3, 3), 200, dtype=np.uint8)
    assert cross_correlate(bright, np.full((3, 3), 2, dtype=np.uint8)).tolist() == [[3600]]
    assert_allclose(cross_correlate(bright, np.full((3, 3), 0.5)), [[900]])


@pytest.mark.parametrize(
    ("x", "w", "padding", "stride", "message"),
    [
        ([1, 2], [1, 2, 3], "valid", 1, "a window of 3 does not fit into 2 values"),
        ([1, 2, 3], [[1, 2]], "valid", 1, "the window has 2 axes, the input 1"),
        ([], [1], "valid", 1, "nothing in it"),
        ([1, 2], [], "valid", 1, "nothing in it"),
        (["a", "b"], [1], "valid", 1, "real numbers"),
        ([1j, 2], [1], "valid", 1, "real numbers"),
        ([[1, 2], [3]], [[1]], "valid", 1, "rows of equal length"),
        ([1, 2], [1], "reflect", 1, "expected full, same, valid or a number"),
        ([1, 2], [1], -1, 1, "expected full, same, valid or a number"),
        ([1, 2], [1], (1, 1), 1, "expected 1 paddings"),
        ([1, 2], [1], 0, 0, "whole numbers from 1 up"),
        ([1, 2], [1], 0, (1, 1), "expected 1 whole numbers"),
    ],
)
def test_what_cannot_be_done_is_said(x, w, padding, stride, message) -> None:
    with pytest.raises(SettingsError, match=message):
        convolve(x, w, padding, stride)
