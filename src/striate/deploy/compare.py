"""Comparing finished runs: what differs in what they are, and, on the same pictures, in what they got right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.paths import tell_apart
from striate.core.settings import TrainSettings
from striate.data.dataset import SEPARATOR
from striate.deploy.comparison import Comparison, Contestant, Flip, Pair
from striate.deploy.labelled import BEST_FIRST
from striate.deploy.matching import match
from striate.evaluation.metrics import ClassScore, scores_from_counts, wilson_interval
from striate.evaluation.paired import LEVEL, difference_interval, holm, mcnemar_exact, pictures_needed
from striate.runs.answers import Answer, read_answers
from striate.runs.folder import MAY_CHANGE, Run

PARTS = tuple(part for part in BEST_FIRST if part != "train")  # training pictures are not among those a run measures
_VIEW = ("channels", "height", "width", "resize", "interpolation", "background")  # what decides a picture's pixels
Classes = frozenset[str]  # those a picture is of
Row = tuple[Answer, ...]  # what each run said of one picture
Reader = Callable[[str], Classes]


def compare(paths: Iterable[Path], part: str | None = None) -> Comparison:
    """Return what differs between runs, on the pictures of one part that all of them have been measured on.

    Args:
        paths: Run folders; one given twice is read once.
        part: 'test' or 'val'; by default the first that all of them have.

    Raises:
        SettingsError: Fewer than two runs, one that is none, or a part that one of them lacks.
        ModelFileError: A run that is not finished, or damaged.
        DataError: No picture is the same in all of them, or they answer different kinds of questions.
    """
    runs = [Run.open(path) for path in {path.resolve(): path for path in paths}.values()]
    if len(runs) < 2:
        raise SettingsError(
            "two or more different runs can be compared",
            where=", ".join(str(run.path) for run in runs) or "no run",
            fix="striate compare runs/first runs/second",
        )
    names = tell_apart([run.path.resolve() for run in runs])
    classes, notes = _compared_classes(runs, names)
    measured = [read_answers(run) for run in runs]
    part = _common_part(part, names, measured)
    answers = [[answer for answer in of_run if answer.part == part] for of_run in measured]
    rows = _in_all(runs, names, answers, notes)
    read = _reader(runs[0].spec.multi_label, classes)
    rows = _of_one_label(rows, read, notes)
    if not rows:
        raise DataError(
            f"no {part} picture, with the same label, is in all of these runs",
            where=", ".join(names),
            fix="compare runs on the same data and split: the same DATA, --seed and --test-share, or a test folder",
        )
    if any(len(of_run) > len(rows) for of_run in answers):
        of = ", ".join(f"{len(of_run):,} of {name}" for name, of_run in zip(names, answers, strict=True))
        notes.append(f"all figures are of the {len(rows):,} {part} pictures that all runs share ({of})")
    truth = [read(row[0].label) for row in rows]
    said = [[read(row[number].prediction) for row in rows] for number in range(len(runs))]
    return Comparison(
        part=part,
        count=len(rows),
        runs=[_contestant(*of_run, truth, classes) for of_run in zip(runs, names, measured, said, strict=True)],
        settings=_differing([run.config.settings for run in runs]),
        pairs=_pairs(names, [row[0].name for row in rows], truth, said, classes),
        notes=notes,
    )


def _compared_classes(runs: Sequence[Run], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the classes whose scores are compared, by name, and a note for each run that does not know all there are.

    A network that tells one class of each picture may be asked about classes that it does not know: it is wrong there.
    Of one that tells any number of them, nothing is known of a class that it was not asked about.
    """
    if len({run.spec.multi_label for run in runs}) > 1:
        several = ", ".join(str(run.path) for run in runs if run.spec.multi_label)
        fix = "compare runs of one kind"
        raise DataError("these runs tell any number of classes of a picture, the others one", where=several, fix=fix)
    known = [set(run.spec.classes) for run in runs]
    every = list(dict.fromkeys(name for run in runs for name in run.spec.classes))
    notes = [
        f"{name} does not know {', '.join(c for c in every if c not in of_run)}"
        for name, of_run in zip(names, known, strict=True)
        if len(of_run) < len(every)
    ]
    if not notes or not runs[0].spec.multi_label:
        return every, notes
    common = [name for name in every if all(name in of_run for of_run in known)]
    if not common:
        raise DataError("the runs have no class in common", where=", ".join(names), fix="compare runs that share some")
    return common, [*notes, f"compared are the classes that all runs know: {', '.join(common)}"]


def _common_part(part: str | None, names: Sequence[str], measured: Sequence[Sequence[Answer]]) -> str:
    parts = [{answer.part for answer in of_run} for of_run in measured]
    chosen = part or next((name for name in PARTS if all(name in of_run for of_run in parts)), None)
    lacking = [name for name, of_run in zip(names, parts, strict=True) if chosen not in of_run]
    if chosen is None or lacking:
        told = "; ".join(f"{name}: {', '.join(sorted(of_run))}" for name, of_run in zip(names, parts, strict=True))
        what = (
            "the runs have been measured on different parts" if chosen is None else f"no part '{chosen}' was measured"
        )
        raise SettingsError(what, where=told, fix="use a --part that all of them have, or leave a run out")
    return chosen


def _in_all(
    runs: Sequence[Run], names: Sequence[str], answers: Sequence[Sequence[Answer]], notes: list[str]
) -> list[Row]:
    """Return what the runs said of each picture that all of them have, in the first run's order; `notes` grows."""
    views = [run.spec.model_dump(include=set(_VIEW)) for run in runs]
    partners: list[list[int | None]] = [list(range(len(answers[0])))]
    for name, view, other in zip(names[1:], views[1:], answers[1:], strict=True):
        matched = match(answers[0], other, same_view=view == views[0])
        partners.append(matched.partner)
        if view != views[0]:
            notes.append(f"{name} is shown the pictures in another form: they are matched by name alone")
        if matched.renamed:
            notes.append(f"{matched.renamed:,} pictures have another name in {name}: matched by their equal pixels")
        if matched.changed:
            count, first = len(matched.changed), matched.changed[0]
            notes.append(f"{count:,} left out, of which {name} has other pixels under the same name: {first} …")
    return [
        tuple(of_run[place] for of_run, place in zip(answers, places, strict=True) if place is not None)
        for places in zip(*partners, strict=True)
        if None not in places
    ]


def _of_one_label(rows: Sequence[Row], read: Reader, notes: list[str]) -> list[Row]:
    """Return the rows of which all runs have the same label; `notes` grows."""
    agreed = [len({read(answer.label) for answer in row}) == 1 for row in rows]
    if not all(agreed):
        first = rows[agreed.index(False)]
        labels = ", ".join(dict.fromkeys(answer.label for answer in first))
        notes.append(
            f"{agreed.count(False):,} left out, of which the runs have different labels: {first[0].name} ({labels}) …"
        )
    return list(compress(rows, agreed))


def _reader(multi_label: bool, classes: Sequence[str]) -> Reader:
    """Return the function from a text of predictions.csv to those of the compared classes that it names."""
    if not multi_label:
        return lambda text: frozenset([text])
    told = frozenset(classes)
    return lambda text: told & frozenset(text.split(SEPARATOR))


def _contestant(
    run: Run,
    name: str,
    measured: Sequence[Answer],
    said: Sequence[Classes],
    truth: Sequence[Classes],
    classes: Sequence[str],
) -> Contestant:
    config, metrics = run.config, run.metrics()
    options = "".join(f" {key}={value}" for key, value in config.architecture.options.items())
    counts = {"train": len(run.training_hashes())}
    counts |= {part: sum(answer.part == part for answer in measured) for part in ("val", "test")}
    correct = sum(a == b for a, b in zip(truth, said, strict=True))
    return Contestant(
        path=run.path,
        name=name,
        data=config.data,
        fingerprint=config.fingerprint,
        pictures={part: count for part, count in counts.items() if count},
        network=config.architecture.name + options + (" one logit" if config.architecture.one_logit else ""),
        epochs=len(metrics),
        seconds=round(sum(float(line.get("seconds", 0)) for line in metrics), 3),
        correct=correct,
        accuracy=correct / len(truth),
        interval=wilson_interval(correct, len(truth)),
        per_class=_class_scores(truth, said, classes),
    )


def _class_scores(truth: Sequence[Classes], said: Sequence[Classes], classes: Sequence[str]) -> list[ClassScore]:
    numbers = {name: number for number, name in enumerate(classes)}

    def flags(of: Sequence[Classes]) -> Tensor:  # N K
        places = [(row, numbers[name]) for row, one in enumerate(of) for name in one]
        rows, columns = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).unbind(1)
        return torch.zeros(len(of), len(classes), dtype=torch.bool).index_put_((rows, columns), torch.tensor(True))

    truly, predicted = flags(truth), flags(said)
    return scores_from_counts(classes, (truly & predicted).sum(0), truly.sum(0), predicted.sum(0))


def _differing(settings: Sequence[TrainSettings]) -> dict[str, list[Any]]:
    values = [one.model_dump(mode="json", exclude=set(MAY_CHANGE)) for one in settings]
    return {key: [v[key] for v in values] for key in values[0] if any(v[key] != values[0][key] for v in values)}


def _pairs(
    names: Sequence[str],
    pictures: Sequence[str],
    truth: Sequence[Classes],
    said: Sequence[Sequence[Classes]],
    classes: Sequence[str],
) -> list[Pair]:
    """Return each further run against the first."""

    def text(one: Classes) -> str:
        return SEPARATOR.join(name for name in classes if name in one)

    flips = [
        [
            Flip(name, text(true), text(a), text(b), gained=b == true)
            for name, true, a, b in zip(pictures, truth, said[0], other, strict=True)
            if (a == true) != (b == true)
        ]
        for other in said[1:]
    ]
    counts = [(sum(not flip.gained for flip in of_run), sum(flip.gained for flip in of_run)) for of_run in flips]
    p_values = [mcnemar_exact(lost, gained) for lost, gained in counts]
    return [
        Pair(
            name=name,
            flips=of_run,
            difference=(gained - lost) / len(truth),
            interval=difference_interval(lost, gained, len(truth)),
            p=p,
            p_holm=p_holm,
            needed=pictures_needed(lost, gained, len(truth), LEVEL / len(counts)),
        )
        for name, of_run, (lost, gained), p, p_holm in zip(
            names[1:], flips, counts, p_values, holm(p_values), strict=True
        )
    ]
