"""Progressive resizing: what is seen, what it costs, and which networks it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import striate
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.sources import open_data
from striate.runs.costs import Costs
from striate.training.plan import make_plan
from striate.training.resizing import Resizing

SHARES = st.floats(0, 1).map(lambda value: round(value, 6))


def test_smaller_pictures_are_those_of_pillow() -> None:
    picture = torch.rand(1, 1, 32, 28)
    wanted = Image.fromarray(picture[0, 0].numpy()).resize((21, 24), Image.Resampling.BILINEAR)
    shrunk = Resizing(0.5, (32, 28)).shrink(picture)
    np.testing.assert_allclose(shrunk[0, 0].numpy(), np.asarray(wanted), atol=1e-6)


def test_they_are_smaller_in_the_first_part_only() -> None:
    pictures, resizing = torch.rand(2, 3, 16, 16), Resizing(0.25, (16, 16))
    assert [resizing.apply(pictures, share).shape[-1] for share in (0.0, 0.24, 0.25, 1.0)] == [12, 12, 16, 16]
    assert resizing.apply(pictures, 0.5) is pictures
    assert Resizing(0.0, (16, 16)).apply(pictures, 0.0) is pictures


@given(SHARES, SHARES, st.floats(0, 0.99), st.floats(0.1, 2))
def test_mean_cost_is_that_of_many_single_steps(one: float, other: float, until: float, small: float) -> None:
    before, after = sorted((one, other))
    if before == after:
        return
    costs = Costs(step=2.0, small_step=2 * small, small_until=until, validation=0, finish=0, epoch_steps=1)
    shares = before + (after - before) * (np.arange(2000) + 0.5) / 2000
    single = np.where(shares < until, small, 1.0)
    assert costs.full_steps(before, after) == pytest.approx(single.mean(), abs=2e-3)


def test_a_network_of_one_side_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(SettingsError, match="mnist-cnn cannot take pictures of three quarters of 28×28") as caught:
        striate.train("digits", out=tmp_path, model="mnist-cnn", img_size=28, small_until=0.5, epochs=1, first=100)
    assert "--small-until 0" in str(caught.value)


def test_the_plan_uses_it_where_the_network_can_and_epochs_need_no_comparison() -> None:
    def planned(**values: object) -> float | None:
        settings = TrainSettings.parse({"img_size": 32, "first": 100, **values})
        return make_plan(settings, open_data("digits", settings, 0)).settings.small_until

    assert planned() == 0.5
    assert planned(small_until=0.2) == 0.2
    assert [planned(img_size=28), planned(patience=3), planned(model="resnet18")] == [0, 0, 0]
