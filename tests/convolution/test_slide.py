"""The step-by-step view: every step worked out from its window alone is the whole output's value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from striate.convolution.examples import EXAMPLES
from striate.convolution.slide import Slide, slide_kernel, slide_pool
from striate.core.errors import SettingsError

few = settings(max_examples=40, deadline=None)


def assert_steps_make_the_output(slide: Slide) -> None:
    steps = list(slide.steps())
    assert_allclose(np.reshape([step.value for step in steps], slide.output.shape), slide.output, atol=1e-12)
    assert all(step.window.shape == slide.size for step in steps)


@few
@given(
    rows=st.integers(3, 6),
    columns=st.integers(3, 6),
    padding=st.sampled_from(["full", "same", "valid", 1, (0, 2)]),
    stride=st.integers(1, 3),
    flip=st.booleans(),
    seed=st.integers(0, 999),
)
def test_steps_of_a_kernel(rows, columns, padding, stride, flip, seed) -> None:
    rng = np.random.default_rng(seed)
    picture, kernel = rng.normal(size=(rows, columns)), rng.normal(size=(3, 2))
    slide = slide_kernel(picture, kernel, padding, stride, flip)
    assert_steps_make_the_output(slide)
    if isinstance(padding, str):
        full = (signal.convolve if flip else signal.correlate)(picture, kernel, padding, method="direct")
        assert_allclose(slide.output, full[::stride, ::stride], atol=1e-12)


@few
@given(kind=st.sampled_from(["max", "average"]), size=st.integers(1, 3), stride=st.sampled_from([None, 1, 2, (2, 1)]))
def test_steps_of_pooling(kind, size, stride) -> None:
    assert_steps_make_the_output(slide_pool(np.random.default_rng(0).normal(size=(6, 5)), kind, size, stride))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_can_be_walked_through(name) -> None:
    for slide in EXAMPLES[name].slides():
        assert_steps_make_the_output(slide)


def test_examples_are_the_documents() -> None:
    (signal_,), (picture,) = EXAMPLES["signal"].slides(), EXAMPLES["document"].slides()
    assert_array_equal(signal_.output, [[5, 14, 16, 26, 24, 34, 19, 22]])
    assert_array_equal(picture.output[0], [11, 25, 32, 13])


def test_a_slide_is_over_rows_and_columns() -> None:
    with pytest.raises(SettingsError, match="rows and columns"):
        slide_kernel([1, 2, 3], [[1]])
    with pytest.raises(SettingsError, match="rows and columns"):
        slide_pool(np.ones((2, 2, 2)))
