"""Run folders with given metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from striate.core.settings import TrainSettings
from striate.explain.subject import Subject
from striate.models import Architecture
from striate.runs.config import RunConfig
from striate.runs.folder import Run

from .subjects import trained_digits


@pytest.fixture
def make_run(make_spec, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a run folder of six epochs with these metrics."""

    def make(name: str, metrics: list[dict], data: str = "digits") -> Path:
        settings = {"epochs": 6, "lr": 0.1, "batch_size": 8, "model": "fast"}
        config = RunConfig(
            striate="0",
            data=data,
            fingerprint="f",
            settings=TrainSettings.parse(settings),
            architecture=Architecture(name="fast"),
            spec=make_spec(),
        )
        place = tmp_path / name
        run = Run.create(place.parent, place.name, "x", config, {})
        for line in metrics:
            run.append_metrics(line)
        run.release()
        return run.path

    return make


@pytest.fixture(scope="session")
def digits_subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the subject of a run of two epochs on the embedded digits; nothing may change it."""
    return trained_digits(tmp_path_factory.mktemp("runs"))
