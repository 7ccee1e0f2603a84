"""`striate compare`: what differs between runs, and whether one is better on the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.core.paths import user_path

if TYPE_CHECKING:
    from rich.table import Table

    from striate.deploy.comparison import Comparison, Contestant, Pair

SHOWN = 10  # pictures that flipped, of each kind
FEW = 20  # pictures, under which the figures of single classes tell nothing
TOO_FEW = (
    "so few tell hardly anything: compare with --folds of both, or give both the same folder test/ "
    "(figures by class: --json)"
)
_ELSEWHERE = frozenset({"model", "pretrained", "epochs", "img_size"})  # settings told in lines of their own
_COLUMNS = ["run", "against", "change", "path", "label", "prediction", "prediction of the other"]


def command(
    runs: Annotated[list[Path], Parameter(help="Run folders, finished; each is compared with the first.")],
    /,
    *,
    part: Annotated[
        Literal["test", "val"] | None, Parameter(help="Which measured part [test, else val, where all runs have it]")
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="Write the pictures of which one run alone is right to this CSV file.")
    ] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Compare runs on the same pictures: settings that differ, figures side by side, and whether one is better.

    Pictures are matched by name and content. A further run is told from the first by McNemar's exact test, with Holm's
    correction where there are several, and by an interval of the difference that leaves 0 out exactly where
    that test alone, without correction, tells them apart.
    """
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.output import print_json, require_free, stderr
        from striate.deploy.compare import compare

    if out is not None:
        require_free(out, (".csv",), picture_folders(None, None, runs))
    comparison = compare([user_path(run) for run in runs], part)
    if out is not None:
        _write(comparison, out)
    for note in comparison.notes:
        stderr().print(f"note: {note}", markup=False)
    if json:
        print_json(comparison.summary())
        return
    _show(comparison)
    if out is not None:
        from striate.cli.output import stdout

        stdout().print(f"\npictures   {out}", markup=False)


def _write(comparison: Comparison, out: Path) -> None:
    from striate.runs.atomic import replace_csv

    against = comparison.runs[0].name
    rows = [
        [pair.name, against, _direction(flip.gained), flip.name, flip.label, flip.after, flip.before]
        for pair in comparison.pairs
        for flip in pair.flips
    ]
    replace_csv(out, [_COLUMNS, *rows])


def _direction(gained: bool) -> str:
    return "wrong to right" if gained else "right to wrong"


def _show(comparison: Comparison) -> None:
    from striate.cli.output import one_line, stdout

    console = stdout()
    console.print(_shared(comparison), markup=False)
    if comparison.count < FEW:
        console.print(f"           {TOO_FEW}", markup=False)
    console.print()
    console.print(_facts(comparison))
    if comparison.count >= FEW:
        console.print()
        console.print(_classes(comparison))
    for pair in comparison.pairs:
        console.print(f"\n{one_line(pair.name)} against {one_line(comparison.runs[0].name)}", markup=False)
        for line in _verdict(pair, several=len(comparison.pairs) > 1):
            console.print(line, markup=False)


def _shared(comparison: Comparison) -> str:
    """Return of which pictures the figures are, and of how many of each run's."""
    from striate.cli.output import one_line
    from striate.data.audit.finding import of

    whole = f"{comparison.part:<10} {of(comparison.count, 'picture')}"
    if all(count == comparison.count for count in comparison.counts):
        return f"{whole}, the same in all runs"
    each = ", ".join(
        f"of {count:,} in {one_line(run.name)}" for count, run in zip(comparison.counts, comparison.runs, strict=True)
    )
    return f"{whole} that all runs have ({each})"


def _facts(comparison: Comparison) -> Table:
    """Return what the runs are and came to, a column each, and the settings that differ."""
    from striate.cli.output import one_line, percent, table

    def pictures(run: Contestant) -> str:
        return ", ".join(f"{count:,} {part}" for part, count in run.pictures.items())

    runs = comparison.runs
    sides = [" × ".join(map(str, run.side)) for run in runs]
    rows = [
        ["accuracy", *(percent(run.accuracy, run.interval) for run in runs)],
        ["right", *(f"{run.correct:,}" for run in runs)],
        ["data", *(one_line(run.data) for run in runs)],
        ["pictures", *map(pictures, runs)],
        *([["read at", *sides]] if len(set(sides)) > 1 else []),
        ["network", *(one_line(_network(run)) for run in runs)],
        ["epochs", *map(_epochs, runs)],
        ["time", *map(_time, runs)],
    ]
    rows += [
        [key, *(one_line(_value(value)) for value in values)]
        for key, values in comparison.settings.items()
        if key not in _ELSEWHERE
    ]
    names = [one_line(run.name) for run in runs]
    return table("", ["", *names], rows, left=range(len(names) + 1))


def _network(run: Contestant) -> str:
    return run.network if run.pretrained is None else f"{run.network}, pretrained: {run.pretrained}"


def _epochs(run: Contestant) -> str:
    """Return how many epochs were done, and of how many where fewer than were set."""
    if run.head_alone:
        return "none: the head alone"
    done = f"{run.epochs:,}"
    if run.epochs_set is not None and run.epochs < run.epochs_set * run.folds:
        done += f" of {run.epochs_set * run.folds:,}"
    if run.folds > 1:
        done += f" in {run.folds} folds"
    return f"{done}, of no help: the head before them was kept" if run.ends_with_head else done


def _time(run: Contestant) -> str:
    from striate.core.duration import duration

    if run.seconds is None:  # a run of an older version
        return f"{duration(run.epoch_seconds)} in its epochs"
    return duration(run.seconds)


def _value(value: object) -> str:
    """Return a setting's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)


def _classes(comparison: Comparison) -> Table:
    """Return each class's recall and F1 in all runs, side by side."""
    from striate.cli.output import one_line, table

    def share(value: float | None) -> str:
        return "n/a" if value is None else f"{value:.4f}"

    names = [one_line(run.name) for run in comparison.runs]
    columns = ["class", "pictures", *(f"{what} {name}" for what in ("recall", "F1") for name in names)]
    rows = []
    for scores in zip(*(run.per_class for run in comparison.runs), strict=True):
        shares = [*(score.recall for score in scores), *(score.f1 for score in scores)]
        rows.append([one_line(scores[0].name), f"{scores[0].count:,}", *map(share, shares)])
    return table("", columns, rows)


def _verdict(pair: Pair, several: bool) -> list[str]:
    """Return the lines that say whether a run is better than the first, and which pictures say so."""
    from striate.cli.output import one_line

    low, high = (f"{100 * end:+.2f}" for end in pair.interval)
    adjusted = f", {pair.p_holm:.3g} after Holm's correction" if several else ""
    lines = [
        f"  data       {pair.data}",
        f"  difference {100 * pair.difference:+.2f} points of accuracy (95 %: {low} to {high})",
        f"  flipped    {pair.lost:,} right → wrong, {pair.gained:,} wrong → right",
        f"  McNemar    p = {pair.p:.3g}{adjusted}: {_conclusion(pair)}",
    ]
    for gained in (False, True):
        flips = [flip for flip in pair.flips if flip.gained == gained]
        lines += [
            one_line(f"  {_direction(gained)}: {flip.name} ({flip.label}): {flip.before} → {flip.after}")
            for flip in flips[:SHOWN]
        ]
        if len(flips) > SHOWN:
            lines.append(f"  and {len(flips) - SHOWN:,} more {_direction(gained)} (--out FILE.csv, --json)")
    return lines


def _conclusion(pair: Pair) -> str:
    from striate.evaluation.paired import LEVEL

    if pair.distinguishable:
        return "distinguishable"
    if pair.p < LEVEL:
        return "not distinguishable: alone it would be, as the interval says, but there are several comparisons"
    if pair.needed is None:
        return "not distinguishable: equally many right"
    needed = float(f"{pair.needed:.2g}")  # from counts as small as these
    return f"not distinguishable; about {needed:,.0f} such pictures would tell this difference (power 80 %)"
