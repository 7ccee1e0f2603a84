"""A predictor that nobody trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import striate
from striate.core.spec import ImageSpec
from striate.deploy import Predictor


@pytest.fixture
def predictor(make_spec, save_untrained) -> Callable[..., Predictor]:
    """Return a function that makes an untrained predictor; `changes` are values of its ImageSpec."""

    def make(channels: int = 3, side: int = 24, **changes) -> Predictor:
        spec = ImageSpec.model_validate({**make_spec(channels=channels, side=side).model_dump(), **changes})
        return striate.load(save_untrained(spec), device="cpu")

    return make
