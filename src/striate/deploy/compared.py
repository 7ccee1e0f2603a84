"""Compared: what is compared with others, a finished run or the folds of a cross-validation, and what it said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from striate.core.errors import ModelFileError, SettingsError
from striate.core.paths import is_there, tell_apart
from striate.core.settings import TrainSettings
from striate.runs.answers import Answer, read_answers
from striate.runs.config import NAME as CONFIG
from striate.runs.config import RunConfig
from striate.runs.folder import Run
from striate.runs.folds_folder import SUFFIX, fold_runs

OUT_OF_FOLD = "out-of-fold"  # the part of all pictures, each answered by the run that had not seen it


@dataclass(frozen=True)
class Compared:
    """A finished run, or the runs of all folds together.

    Args:
        path: The run folder, or that of what the folds came to.
        name: What tells it apart from the others.
        runs: The run, or one of each fold.
        answers: Of the run's validation and test part, or of all pictures out of fold.
    """

    path: Path
    name: str
    runs: Sequence[Run]
    answers: Sequence[Answer]

    @property
    def first(self) -> Run:
        """The run, or the first fold's, which the others differ from in the pictures held out alone."""
        return self.runs[0]

    @property
    def config(self) -> RunConfig:
        """Its config.json."""
        return self.first.config

    @property
    def settings(self) -> TrainSettings:
        """Its settings; folds are told from each other by nothing."""
        settings = self.config.settings
        return settings.model_copy(update={"fold": None}) if self.is_folds else settings

    @property
    def is_folds(self) -> bool:
        """Whether it is a cross-validation."""
        return len(self.runs) > 1

    @property
    def parts(self) -> list[str]:
        """The parts that it has answers of."""
        return list(dict.fromkeys(answer.part for answer in self.answers))

    def pictures(self) -> dict[str, int]:
        """Return how many pictures it has of each part; of folds, all that were held out in turn."""
        counts = {} if self.is_folds else {"train": len(self.first.training_hashes())}
        counts |= {part: sum(answer.part == part for answer in self.answers) for part in self.parts}
        return {part: count for part, count in counts.items() if count}

    def ends_with_head(self) -> bool:
        """Return whether fine-tuning did not help, so that the head on pretrained features was kept (transfer.json)."""
        with suppress(OSError, ValueError, AttributeError):
            return bool(json.loads((self.first.path / "transfer.json").read_bytes()).get("kept") == "head")
        return False

    def held_out(self) -> list[frozenset[tuple[str, str]]]:
        """Return, for each run, the pictures that it held out, by part and name."""
        return [frozenset((answer.part, answer.name) for answer in read_answers(run)) for run in self.runs]


def read_compared(paths: Iterable[Path]) -> list[Compared]:
    """Return what is at paths, in the order given; one given twice is read once.

    Raises:
        SettingsError: Neither a run nor the folds of one.
        ModelFileError: A run that is not finished, is damaged, or is a fold that is no longer there.
    """
    once = list({path.resolve(): path for path in paths}.values())
    names = tell_apart([path.resolve() for path in once])
    return [_read(path, name) for path, name in zip(once, names, strict=True)]


def _read(path: Path, name: str) -> Compared:
    folds = [] if is_there(path / CONFIG) else fold_runs(path)
    if not folds:
        together = path.parent / f"{path.name}{SUFFIX}"
        if not is_there(path / CONFIG) and fold_runs(together):
            raise SettingsError(
                "not a run folder (no config.json); there are folds of that name",
                where=path,
                fix=f"name what they came to: {together}",
            )
        run = Run.open(path)
        return Compared(path, name, [run], read_answers(run))
    gone = [str(fold) for fold in folds if not is_there(fold / CONFIG)]
    if gone:
        raise ModelFileError(
            "folds whose runs are no longer beside it", where=f"{path}: {', '.join(gone)}", fix="put them back there"
        )
    runs = [Run.open(fold) for fold in folds]
    if any(run.spec.classes != runs[0].spec.classes for run in runs):
        raise SettingsError("folds of different classes", where=path, fix="compare the runs of one cross-validation")
    answers = [
        answer._replace(part=OUT_OF_FOLD) for run in runs for answer in read_answers(run) if answer.part == "val"
    ]
    return Compared(path, name, runs, answers)
