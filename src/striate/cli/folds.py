"""`striate train DATA --folds K`: every fold in turn, and what they come to together; or what that would take."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from striate.cli.imports import importing
from striate.core.errors import Interrupted
from striate.core.paths import is_there
from striate.core.settings import TrainSettings

if TYPE_CHECKING:
    from rich.console import Console

    from striate.runs.folder import Run
    from striate.training.folds import CrossValidation


@dataclass(frozen=True)
class Asked:
    """A cross-validation, as it was asked for.

    Args:
        data: A data set's name, a folder or a table.
        settings: The settings, with `folds` and without `fold`.
        given: Names of the settings that the user gave.
        out: Folder of the run folders.
        name: The runs' common name; by default the data's, numbered where it is taken by other runs.
        unnamed: What they are called without a name, instead.
        notes: What to tell first.
    """

    data: str
    settings: TrainSettings
    given: frozenset[str]
    out: Path
    name: str | None
    unnamed: str | None
    notes: Sequence[str]

    def each(self) -> list[tuple[str, TrainSettings]]:
        """Return the name and the settings of each fold's run."""
        from striate.runs.naming import folder_name

        assert self.settings.folds is not None
        settings_of = [self.settings.with_values(fold=number) for number in range(1, self.settings.folds + 1)]
        unnamed = self.unnamed or folder_name(self.data)
        base = self.name or _free(self.out, unnamed, self.data, settings_of, self.given | {"fold"})
        return [(f"{base}-fold{one.fold}", one) for one in settings_of]

    def there(self, each: Sequence[tuple[str, TrainSettings]]) -> list[Run | None]:
        """Return the runs that are there already; SettingsError where one is another, or a name cannot be used."""
        from striate.training.take_up import earlier

        return [earlier(self.data, one, given=self.given | {"fold"}, out=self.out, name=name) for name, one in each]


def foretell_folds(asked: Asked, json: bool, quiet: bool) -> None:
    """Say what each fold would be and what all that are not finished take; nothing is written.

    Args:
        asked: What is to be foretold.
        json: Write the result as JSON.
        quiet: Write the result only.

    Raises:
        StriateError: Whatever `train_folds` cannot obey.
    """
    with importing():
        from striate.cli.output import print_json, stderr, stdout
        from striate.cli.reading import reading_shown
        from striate.cli.train import foretold
        from striate.core import clock
        from striate.training.outlook import foresee

    runs = asked.each()
    there = asked.there(runs)
    left = sum(run is None or not run.is_finished for run in there)
    console = stderr(quiet)
    with reading_shown(console):
        seen = foresee(asked.data, runs[0][1], asked.out, clock.began())
    for note in [*asked.notes, *seen.data.notes]:
        console.print(f"note: {note}", markup=False)
    estimate = seen.estimate
    if json:
        told = foretold(seen)
        seconds = None if estimate.seconds is None else left * estimate.seconds
        together = {"seconds": seconds, "memory": estimate.memory, "disk": left * estimate.disk}
        names = [name for name, _ in runs]
        print_json({**told, "folds": len(runs), "unfinished": left, "runs": names, "together": together})
        return
    which = f"all {left} folds" if left == len(runs) else f"the {left} of {len(runs)} folds that are not finished"
    lines = [
        *seen.plan.lines(seen.data),
        f"estimate   each fold: {estimate}",
        f"           {which}: {estimate.of_runs(left)}" if left else f"           all {len(runs)} folds are finished",
    ]
    stdout().print("\n".join(lines), markup=False)


def train_folds(asked: Asked, *, json: bool, quiet: bool, report: bool) -> None:
    """Train every fold as a run of its own, NAME-fold1 …, and write what they come to together into NAME-folds.

    What is there already, of the same data and settings, is not trained again, and what was stopped goes on.

    Args:
        asked: What is to be trained.
        json: Write the result as JSON.
        quiet: Write the result only.
        report: Write each run's report.html.

    Raises:
        StriateError: Whatever cannot be obeyed.
    """
    with importing():
        from striate.cli.output import print_json, stderr
        from striate.core import clock
        from striate.runs.atomic import naming_disk_errors, replace_file
        from striate.runs.folder import Run
        from striate.runs.folds_folder import PREDICTIONS, SUMMARY
        from striate.training.folds import cross_validation, write_out_of_fold

    console, out = stderr(quiet), asked.out
    each = asked.each()
    asked.there(each)  # which says what is in the way before the first of them is trained
    for note in asked.notes:
        console.print(f"note: {note}", markup=False)
    for name, one in each:
        started = clock.began() if one.fold == 1 else clock.now()
        try:
            _train(asked.data, one, asked.given | {"fold"}, out, name, started, console, quiet, report)
        except Interrupted as stopped:
            signal = stopped.exit_code - 128
            raise Interrupted(signal, stopped.what, fix="the same command again goes on from there") from None
        gc.collect()  # its pictures and network: the next fold has its own
    runs = [Run.open(out / name) for name, _ in each]
    together = cross_validation(runs)
    folder = out / f"{each[0][0].removesuffix('1')}s"
    with naming_disk_errors(folder, 0):
        folder.mkdir(exist_ok=True)
    write_out_of_fold(folder / PREDICTIONS, runs)
    result = {**together.summary(), "predictions": str(folder / PREDICTIONS)}
    replace_file(folder / SUMMARY, _encoded(result))
    if json:
        print_json(result)
    else:
        _report(together, folder)


def _train(
    data: str,
    settings: TrainSettings,
    given: frozenset[str],
    out: Path,
    name: str,
    started: float,
    console: Console,
    quiet: bool,
    report: bool,
) -> None:
    from striate.cli.reading import reading_shown
    from striate.cli.train import explained, follow
    from striate.runs.folder import Run
    from striate.training.take_up import take_up

    console.print(f"fold {settings.fold}/{settings.folds}   {out / name}", markup=False)
    with reading_shown(console):
        job = take_up(data, settings, given=given, out=out, name=name, started=started)
    if job is None:
        run = Run.open(out / name)
        run.open_data(run.config.settings)  # which says where they have changed since
        console.print("note: finished already, and taken as it is", markup=False)
        return
    follow(job, console, quiet)
    job.finish()
    for note in job.run.notes:
        console.print(f"note: {note}", markup=False)
    if report:
        explained(job, console)


def _free(out: Path, base: str, data: str, settings_of: Sequence[TrainSettings], given: frozenset[str]) -> str:
    """Return the first of NAME, NAME-2 … whose folds are not there, or are those that are asked for."""
    from striate.runs.folder import Run
    from striate.training.take_up import differences

    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        folds = [(out / f"{name}-fold{one.fold}", one) for one in settings_of]
        there = [(path, one) for path, one in folds if is_there(path / "config.json")]
        if not any(differences(Run.open(path), data, one, given) for path, one in there):
            return name
        number += 1


def _report(together: CrossValidation, folder: Path) -> None:
    from striate.cli.output import percent, stdout, table

    runs = together.runs
    figures = {"val": together.val} | ({"test": together.test} if together.test else {})
    columns = ["fold", *(title for part in figures for title in (part, "of")), "run"]
    rows = []
    for place, run in enumerate(runs):
        measured = [of[place] for of in figures.values()]
        cells = [cell for one in measured for cell in (f"{100 * one['accuracy']:.2f} %", f"{one['count']:,}")]
        rows.append([str(run.config.settings.fold), *cells, str(run.path)])
    console = stdout()
    console.print(table("", columns, rows, left=(0, len(columns) - 1)))
    for part in figures:
        mean, deviation = together.mean_and_deviation(part)
        console.print(
            f"{part:<10} {100 * mean:.2f} ± {100 * deviation:.2f} %, mean and standard deviation of {len(runs)} folds",
            markup=False,
        )
    correct, count, interval = together.out_of_fold()
    each = "each by the run that had not seen it"
    console.print(f"all        {percent(correct / count, interval)} of {count:,} pictures, {each}", markup=False)
    console.print(f"written    {folder / 'predictions.csv'}, {folder / 'summary.json'}", markup=False)


def _encoded(value: object) -> bytes:
    from json import dumps

    return (dumps(value, indent=1) + "\n").encode()
