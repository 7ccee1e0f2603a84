"""What the runs of a cross-validation come to together, read from their run folders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from striate.core.errors import ModelFileError, SettingsError
from striate.evaluation.metrics import wilson_interval
from striate.runs.atomic import replace_file
from striate.runs.folder import Run

_OF_ITS_RUN = ("path", "part", "index")  # columns of predictions.csv that are not the same in all folds


@dataclass(frozen=True)
class CrossValidation:
    """The figures of all folds.

    Args:
        runs: The runs, in the order of their folds.
        val: What each measured on its own fold: 'accuracy', 'interval_95', 'count', 'correct', … (evaluation.json).
        test: The same of the test part, which is one for all; none where the data have none.
    """

    runs: Sequence[Run]
    val: Sequence[Mapping[str, Any]]
    test: Sequence[Mapping[str, Any]]

    def mean_and_deviation(self, part: str = "val") -> tuple[float, float]:
        """Return the mean of the folds' accuracies and their standard deviation (of a sample: n − 1)."""
        accuracies = [figures["accuracy"] for figures in (self.test if part == "test" else self.val)]
        return mean(accuracies), stdev(accuracies)

    def out_of_fold(self) -> tuple[int, int, tuple[float, float]]:
        """Return how many pictures were classified rightly by the run that had not seen them, of how many.

        The third value is the 95 % interval of that share. It takes the runs for one network, which they are not:
        read it as the least uncertainty there is.
        """
        correct, count = (sum(figures[key] for figures in self.val) for key in ("correct", "count"))
        return correct, count, wilson_interval(correct, count)

    def summary(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        correct, count, interval = self.out_of_fold()
        keys = ("accuracy", "interval_95", "loss", "count")
        folds = [
            {"fold": run.config.settings.fold, "run": str(run.path), "model": str(run.model_path)}
            | {"val": {key: val[key] for key in keys}}
            | ({"test": {key: self.test[number][key] for key in keys}} if self.test else {})
            for number, (run, val) in enumerate(zip(self.runs, self.val, strict=True))
        ]
        parts = {"val": self.val} | ({"test": self.test} if self.test else {})
        figures = {
            part: dict(zip(("mean", "standard_deviation"), self.mean_and_deviation(part), strict=True))
            for part in parts
        }
        whole = {"accuracy": correct / count, "interval_95": list(interval), "count": count, "correct": correct}
        return {"folds": folds, **figures, "out_of_fold": whole}


def cross_validation(runs: Sequence[Run]) -> CrossValidation:
    """Return the figures of the finished runs of all folds.

    Raises:
        SettingsError: Not one finished run of each fold of one cross-validation.
        ModelFileError: A run's evaluation.json is missing or damaged.
    """
    runs = sorted(runs, key=lambda run: run.config.settings.fold or 0)
    numbers = {run.config.settings.folds for run in runs}
    folds = next(iter(numbers), None)
    told = [run.config.settings.fold for run in runs]
    if len(numbers) != 1 or folds is None or told != list(range(1, folds + 1)):
        raise SettingsError(
            f"these are folds {', '.join(map(str, told)) or 'of nothing'}, not each fold of one number",
            where=", ".join(str(run.path) for run in runs) or "runs",
            fix="give one run of every fold",
        )
    unfinished = [str(run.path) for run in runs if not run.is_finished]
    if unfinished:
        raise SettingsError("not finished", where=", ".join(unfinished), fix="striate train --resume RUN")
    measured = [_evaluation(run) for run in runs]
    tests = [figures["test"] for figures in measured if "test" in figures]
    return CrossValidation(runs, [figures["val"] for figures in measured], tests)


def _evaluation(run: Run) -> dict[str, Any]:
    path = run.path / "evaluation.json"
    try:
        figures: dict[str, Any] = json.loads(path.read_bytes())
        figures["val"]["accuracy"], figures["val"]["correct"], figures["val"]["count"]
    except (OSError, ValueError, LookupError, TypeError):
        raise ModelFileError("missing or damaged", where=path, fix="train this fold again under another name") from None
    return figures


def write_out_of_fold(path: Path, runs: Sequence[Run]) -> None:
    """Write one CSV with each picture's probabilities by the run that had not seen it: path, fold, label, …"""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for place, run in enumerate(runs):
        rows = (run.path / "predictions.csv").read_bytes().decode("utf-8", "surrogateescape")
        reader = csv.DictReader(io.StringIO(rows, newline=""))
        others = [name for name in reader.fieldnames or () if name not in _OF_ITS_RUN]
        if place == 0:
            writer.writerow(["path", "fold", *others])
        for row in reader:
            if row["part"] == "val":
                writer.writerow([row["path"], run.config.settings.fold, *(row[name] for name in others)])
    replace_file(path, text.getvalue().encode("utf-8", "surrogateescape"))
