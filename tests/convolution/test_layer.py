"""A convolutional layer against torch's conv1d, conv2d and conv3d."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from striate.convolution import feature_maps
from striate.core.errors import SettingsError

TORCH_CONV = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}


@settings(max_examples=40, deadline=None)
@given(
    d=st.integers(1, 3),
    channels=st.integers(1, 3),
    filters=st.integers(1, 4),
    with_bias=st.booleans(),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_feature_maps_are_those_of_torch(d, channels, filters, with_bias, seed, data) -> None:
    window = data.draw(st.tuples(*[st.integers(1, 3)] * d))
    shape = tuple(data.draw(st.integers(m, m + 3)) for m in window)
    padding = data.draw(st.tuples(*[st.integers(0, 2)] * d))
    stride = data.draw(st.tuples(*[st.integers(1, 2)] * d))
    rng = np.random.default_rng(seed)
    x, kernels = rng.normal(size=(channels, *shape)), rng.normal(size=(filters, channels, *window))
    bias = rng.normal(size=filters) if with_bias else None
    theirs = TORCH_CONV[d](
        torch.tensor(x)[None], torch.tensor(kernels), None if bias is None else torch.tensor(bias), stride, padding
    )
    assert_allclose(feature_maps(x, kernels, bias, padding, stride), theirs[0].numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("x", "kernels", "bias", "message"),
    [
        (np.ones((3, 5, 5)), np.ones((4, 2, 3, 3)), None, "the same C"),
        (np.ones((5, 5)), np.ones((4, 1, 3, 3)), None, "the same C"),
        (np.ones((1, 5, 5)), np.ones((4, 1, 3, 3)), np.ones(3), "one bias per kernel, 4"),
    ],
)
def test_what_does_not_fit_together_is_said(x, kernels, bias, message) -> None:
    with pytest.raises(SettingsError, match=message):
        feature_maps(x, kernels, bias)
