"""The config of a run that needs no data."""

from __future__ import annotations

import pytest

from striate.core.settings import TrainSettings
from striate.models import Architecture
from striate.runs.config import RunConfig


@pytest.fixture
def config(make_spec) -> RunConfig:
    return RunConfig(
        striate="0",
        data="digits",
        fingerprint="f",
        settings=TrainSettings.parse({"epochs": 3, "lr": 0.1, "batch_size": 8, "model": "fast"}),
        architecture=Architecture(name="fast"),
        spec=make_spec(),
    )
