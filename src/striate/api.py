"""The Python interface: `striate.train`, `load`, `chapters`, `export` and `transfer_style`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from striate.core import clock
from striate.core.errors import SettingsError
from striate.core.paths import user_path
from striate.core.settings import TrainSettings, override
from striate.deploy import Prediction, Predictor, load
from striate.deploy.explaining import chapters
from striate.deploy.export.exporting import export
from striate.explain.first_batch import save_first_batch
from striate.explain.report import after_training
from striate.recipes import RECIPES
from striate.runs.folder import Run
from striate.style.transfer import transfer_style
from striate.training import job as jobs
from striate.training.job import Job

__all__ = ["Prediction", "Predictor", "Run", "chapters", "export", "load", "resume", "train", "transfer_style"]


def train(
    data: str | Path | None = None,
    *,
    recipe: str | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    report: bool = True,
    **settings: Any,
) -> Run:
    """Train on a data set, a folder or a table of pictures, measure, and return the finished run.

    With `folds`, `fold` says which one: a list of runs is `[train(data, folds=5, fold=n) for n in range(1, 6)]`, and
    `striate.training.folds.cross_validation` what they come to together.

    Args:
        data: A name ('mnist', 'cifar10:cat,dog'), a folder or a table of paths and labels (.csv, .tsv, .parquet); a
            recipe's own by default, else 'digits'.
        recipe: A document's system by name ('striate recipes'); settings given here win over its own.
        out: Folder of the run folders.
        name: The run's name; from the data by default, numbered where it is taken.
        report: Write report.html into its folder, within a tenth of the training time or 10 seconds.
        settings: Any setting of `striate train` (core/settings.py), e.g. epochs=5, model='resnet18'; a time_budget
            counts from the call.

    Raises:
        StriateError: Whatever cannot be obeyed; the message says what to change.
    """
    started = clock.now()
    texts = isinstance(data, str | Path | None) and isinstance(out, str | Path)
    if not texts or not isinstance(name, str | None) or not isinstance(recipe, str | None):
        raise SettingsError(
            "data and out are a text or a path, name and recipe a text",
            where=f"striate.train({data!r}, recipe={recipe!r}, out={out!r}, name={name!r})",
            fix="striate.train('photos/', out='runs', name='first')",
        )
    stand_in = None
    if recipe is not None:
        data_dir = TrainSettings.parse(settings, where="striate.train").data_dir
        place, base, _ = RECIPES[recipe].place(data_dir)
        stand_in = None if data else RECIPES[recipe].stand_in(data_dir)
        data, settings = data or place, override(base, settings)
    parsed = TrainSettings.parse(settings, where="striate.train")
    job = jobs.prepare(
        str(data or "digits"),
        parsed,
        given=frozenset(settings),
        out=user_path(out),
        name=name,
        unnamed=recipe,
        started=started,
    )
    save_first_batch(job)
    job.run.notes.extend([stand_in] if stand_in else [])
    return _completed(job, report)


def resume(run: str | Path, *, report: bool = True, **settings: Any) -> Run:
    """Go on with an unfinished run from its newest checkpoint, finish it, report on it and return it."""
    if not isinstance(run, str | Path):
        raise SettingsError("a run is named by its folder", where=repr(run), fix="striate.resume('runs/first')")
    return _completed(jobs.resume(user_path(run), settings), report)


def _completed(job: Job, report: bool) -> Run:
    run = job.complete()
    if report:
        after_training.report_on(job)
    return run
