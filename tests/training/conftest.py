"""Small runs on the embedded digits and on photographs of stripes, prepared in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from striate.core.settings import TrainSettings
from striate.training.job import Job, prepare

from .striped import photographs

SMALL = {"first": 120, "epochs": 3, "batch_size": 12, "precision": "fp32", "device": "cpu"}


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """Return a function that prepares a run on 120 digits: 3 epochs of 10 steps; settings may be replaced."""

    def make(out: str = "runs", **settings: Any) -> Job:
        values = {**SMALL, **settings}
        return prepare("digits", TrainSettings.parse(values), given=frozenset(values), out=tmp_path / out, name=None)

    return make


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Job]:
    """Return a function that prepares a run on a folder of striped pictures, made on the first call."""

    def make(out: str = "runs", data: str | None = None, **settings: Any) -> Job:
        if data is None:
            data = str(tmp_path / "photos")
            if not Path(data).exists():
                photographs(Path(data))
        values = {"precision": "fp32", "device": "cpu", **settings}
        return prepare(data, TrainSettings.parse(values), given=frozenset(values), out=tmp_path / out, name=None)

    return make
