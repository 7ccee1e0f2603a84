"""The Python interface: `striate.train` and `striate.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from striate.core.errors import SettingsError
from striate.core.paths import user_path
from striate.core.settings import TrainSettings
from striate.deploy import Prediction, Predictor, load
from striate.runs.folder import Run
from striate.training import job as jobs

__all__ = ["Prediction", "Predictor", "Run", "load", "resume", "train"]


def train(data: str | Path = "digits", *, out: str | Path = "runs", name: str | None = None, **settings: Any) -> Run:
    """Train on a data set or a folder of pictures, measure, and return the finished run.

    Args:
        data: A name ('mnist', 'cifar10:cat,dog') or a folder.
        out: Folder of the run folders.
        name: The run's name; from the data by default, numbered where it is taken.
        settings: Any setting of `striate train` (core/settings.py), e.g. epochs=5, model='resnet18'.

    Raises:
        StriateError: Whatever cannot be obeyed; the message says what to change.
    """
    if not isinstance(data, str | Path) or not isinstance(out, str | Path) or not isinstance(name, str | None):
        raise SettingsError(
            "data and out are a text or a path, name is a text",
            where=f"striate.train({data!r}, out={out!r}, name={name!r})",
            fix="striate.train('photos/', out='runs', name='first')",
        )
    parsed = TrainSettings.parse(settings, where="striate.train")
    job = jobs.prepare(str(data), parsed, given=frozenset(settings), out=user_path(out), name=name)
    return _complete(job)


def resume(run: str | Path, **settings: Any) -> Run:
    """Go on with an unfinished run from its newest checkpoint, finish it and return it."""
    if not isinstance(run, str | Path):
        raise SettingsError("a run is named by its folder", where=repr(run), fix="striate.resume('runs/first')")
    job = jobs.resume(user_path(run), settings)
    return _complete(job)


def _complete(job: jobs.Job) -> Run:
    try:
        for _ in job.epochs():
            pass
        job.finish()
    finally:
        job.run.release()  # a notebook keeps the traceback of an interrupt, and with it the run
    return job.run
