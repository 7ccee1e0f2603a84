"""A small run on the embedded digits, prepared in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from striate.core.settings import TrainSettings
from striate.training.job import Job, prepare

SMALL = {"first": 120, "epochs": 3, "batch_size": 12, "precision": "fp32", "device": "cpu"}


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """Return a function that prepares a run on 120 digits: 3 epochs of 10 steps; settings may be replaced."""

    def make(out: str = "runs", **settings: Any) -> Job:
        values = {**SMALL, **settings}
        return prepare("digits", TrainSettings.parse(values), given=frozenset(values), out=tmp_path / out, name=None)

    return make
