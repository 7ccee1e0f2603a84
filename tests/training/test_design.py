"""The default network's form: it can be built for every side, and ends with few pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.models.fast import FastNet
from striate.training.design import WIDER, fast_options, least_side, worthwhile_width


@settings(max_examples=25)
@given(st.integers(8, 300), st.sampled_from((1, 3)), st.sampled_from((0.25, 1.0, 1.7)))
def test_every_side_has_a_network_whose_last_maps_are_small(side: int, channels: int, width: float) -> None:
    options = fast_options(side, channels, width)
    assert least_side(options) <= side
    network = FastNet((channels, side, side), 3, **options).eval()
    with torch.inference_mode():
        assert 1 <= network.features(torch.zeros(1, channels, side, side)).shape[-1] <= 7
    assert all(maps % 8 == 0 for maps in options["widths"])


def test_width_is_a_multiple_of_the_usual_one() -> None:
    usual, double = (fast_options(32, 3, width)["widths"] for width in (1.0, 2.0))
    assert double == [2 * maps for maps in usual]


@pytest.mark.parametrize(("steps", "width"), [(0, 1.0), (WIDER[1][0] - 1, 1.0), WIDER[1], (10**9, WIDER[-1][1])])
def test_more_time_is_worth_a_wider_network(steps: int, width: float) -> None:
    assert worthwhile_width(steps) == width
