"""Comparing finished runs: what differs in what they are, and, on the same pictures, in what they got right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from pathlib import Path

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.data.audit.finding import of
from striate.data.dataset import SEPARATOR
from striate.deploy.compared import OUT_OF_FOLD, Compared, read_compared
from striate.deploy.comparison import Comparison, Contestant, Flip, Pair
from striate.deploy.differences import compare_data, differing_settings, remedy, why_apart
from striate.deploy.labelled import BEST_FIRST
from striate.deploy.matching import match
from striate.evaluation.metrics import ClassScore, scores_from_counts, wilson_interval
from striate.evaluation.paired import LEVEL, difference_interval, holm, mcnemar_exact, pictures_needed
from striate.runs.answers import Answer

# training pictures are not among those a run measures
PARTS = (*(part for part in BEST_FIRST if part != "train"), OUT_OF_FOLD)
_VIEW = ("channels", "height", "width", "resize", "interpolation", "background")  # what decides a picture's pixels
Classes = frozenset[str]  # those a picture is of
Row = tuple[Answer, ...]  # what each run said of one picture
Reader = Callable[[str], Classes]


def compare(paths: Iterable[Path], part: str | None = None) -> Comparison:
    """Return what differs between runs, on the pictures of one part that all of them have been measured on.

    Args:
        paths: Run folders, or folders of what folds came to (`NAME-folds`), of which each picture is compared as the
            run answered it that had not seen it; one given twice is read once.
        part: 'test' or 'val'; by default the first that all of them have. Folds have all pictures out of fold.

    Raises:
        SettingsError: Fewer than two runs, one that is none, or a part that one of them lacks.
        ModelFileError: A run that is not finished, or damaged.
        DataError: No picture is the same in all of them, or they answer different kinds of questions.
    """
    runs = read_compared(paths)
    if len(runs) < 2:
        raise SettingsError(
            "two or more different runs can be compared",
            where=", ".join(str(run.path) for run in runs) or "no run",
            fix="striate compare runs/first runs/second",
        )
    classes, notes = _compared_classes(runs)
    part = _common_part(part, runs)
    answers = [[answer for answer in run.answers if answer.part == part] for run in runs]
    rows = _in_all(runs, answers, notes)
    read = _reader(runs[0].first.spec.multi_label, classes)
    rows = _of_one_label(rows, read, notes)
    if not rows:
        why = why_apart(runs)
        raise DataError(
            f"no {part} picture, with the same label, is in all of these runs" + (f" ({why})" if why else ""),
            where=", ".join(run.name for run in runs),
            fix=remedy(runs),
        )
    if any(len(of_run) > len(rows) for of_run in answers):
        notes.append(_few_shared(runs, answers, len(rows), part))
    notes += [
        f"{run.name}: {len(run.runs)} networks, which the test takes for one: how much they differ is in "
        f"{run.path / 'summary.json'}"
        for run in runs
        if run.is_folds
    ]
    truth = [read(row[0].label) for row in rows]
    said = [[read(row[number].prediction) for row in rows] for number in range(len(runs))]
    return Comparison(
        part=part,
        count=len(rows),
        counts=[len(of_run) for of_run in answers],
        runs=[_contestant(*of_run, truth, classes) for of_run in zip(runs, said, strict=True)],
        settings=differing_settings(runs),
        pairs=_pairs(runs, [row[0].name for row in rows], truth, said, classes),
        notes=notes,
    )


def _few_shared(runs: Sequence[Compared], answers: Sequence[Sequence[Answer]], count: int, part: str) -> str:
    """Return the sentence that says of how many pictures the figures are, why not of all, and what helps."""
    each = ", ".join(f"{len(of_run):,} of {run.name}" for run, of_run in zip(runs, answers, strict=True))
    why = why_apart(runs)
    if all(run.is_folds for run in runs):  # each holds all of its pictures out
        return f"all figures are of the {of(count, f'{part} picture')} that all of them have ({each})"
    told = f"all figures are of the {of(count, f'{part} picture')} that all runs share ({each})"
    return f"{told}: {why}; {remedy(runs)}" if why else told


def _compared_classes(runs: Sequence[Compared]) -> tuple[list[str], list[str]]:
    """Return the classes whose scores are compared, by name, and a note for each run that does not know all there are.

    A network that tells one class of each picture may be asked about classes that it does not know: it is wrong there.
    Of one that tells any number of them, nothing is known of a class that it was not asked about.
    """
    specs = [run.first.spec for run in runs]
    if len({spec.multi_label for spec in specs}) > 1:
        several = ", ".join(str(run.path) for run, spec in zip(runs, specs, strict=True) if spec.multi_label)
        fix = "compare runs of one kind"
        raise DataError("these runs tell any number of classes of a picture, the others one", where=several, fix=fix)
    known = [set(spec.classes) for spec in specs]
    every = list(dict.fromkeys(name for spec in specs for name in spec.classes))
    notes = [
        f"{run.name} does not know {', '.join(c for c in every if c not in of_run)}"
        for run, of_run in zip(runs, known, strict=True)
        if len(of_run) < len(every)
    ]
    if not notes or not specs[0].multi_label:
        return every, notes
    common = [name for name in every if all(name in of_run for of_run in known)]
    if not common:
        where = ", ".join(run.name for run in runs)
        raise DataError("the runs have no class in common", where=where, fix="compare runs that share some")
    return common, [*notes, f"compared are the classes that all runs know: {', '.join(common)}"]


def _common_part(part: str | None, runs: Sequence[Compared]) -> str:
    chosen = part or next((name for name in PARTS if all(name in run.parts for run in runs)), None)
    lacking = [run for run in runs if chosen not in run.parts]
    if chosen is None or lacking:
        told = "; ".join(f"{run.name}: {', '.join(sorted(run.parts))}" for run in runs)
        what = (
            "the runs have been measured on different parts" if chosen is None else f"no part '{chosen}' was measured"
        )
        fix = "use a --part that all of them have, or leave a run out"
        if any(run.is_folds for run in runs):
            fix = "compare folds with folds, without --part; or single runs with runs"
        raise SettingsError(what, where=told, fix=fix)
    return chosen


def _in_all(runs: Sequence[Compared], answers: Sequence[Sequence[Answer]], notes: list[str]) -> list[Row]:
    """Return what the runs said of each picture that all of them have, in the first run's order; `notes` grows."""
    views = [run.first.spec.model_dump(include=set(_VIEW)) for run in runs]
    partners: list[list[int | None]] = [list(range(len(answers[0])))]
    for run, view, other in zip(runs[1:], views[1:], answers[1:], strict=True):
        matched = match(answers[0], other, same_view=view == views[0])
        partners.append(matched.partner)
        if view != views[0]:
            notes.append(f"{run.name} is shown the pictures in another form: they are matched by name alone")
        if matched.renamed:
            has = "has" if matched.renamed == 1 else "have"
            notes.append(
                f"{of(matched.renamed, 'picture')} {has} another name in {run.name}: matched by their equal pixels"
            )
        if matched.changed:
            count, first = len(matched.changed), matched.changed[0]
            notes.append(f"{count:,} left out, of which {run.name} has other pixels under the same name: {first} …")
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


def _contestant(run: Compared, said: Sequence[Classes], truth: Sequence[Classes], classes: Sequence[str]) -> Contestant:
    config, settings = run.config, run.settings
    options = "".join(f" {key}={value}" for key, value in config.architecture.options.items())
    lines = [line for one in run.runs for line in one.metrics()]
    seconds = [one.seconds for one in run.runs]
    correct = sum(a == b for a, b in zip(truth, said, strict=True))
    return Contestant(
        path=run.path,
        name=run.name,
        data=config.data,
        fingerprint=config.fingerprint,
        pictures=run.pictures(),
        network=config.architecture.name + options + (" one logit" if config.architecture.one_logit else ""),
        pretrained=settings.pretrained if settings.transfers else None,
        head_alone=settings.only_head,
        ends_with_head=run.ends_with_head(),
        folds=len(run.runs),
        side=run.first.spec.picture_shape[1:],
        epochs=sum(line["epoch"] > 0 for line in lines),  # 0 is the head of a pretrained network
        epochs_set=settings.epochs,
        seconds=None if None in seconds else round(sum(filter(None, seconds)), 3),
        epoch_seconds=round(sum(float(line.get("seconds", 0)) for line in lines), 3),
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


def _pairs(
    runs: Sequence[Compared],
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
            name=run.name,
            data=compare_data(runs[0], run),
            flips=of_run,
            difference=(gained - lost) / len(truth),
            interval=difference_interval(lost, gained, len(truth)),
            p=p,
            p_holm=p_holm,
            needed=pictures_needed(lost, gained, len(truth), LEVEL / len(counts)),
        )
        for run, of_run, (lost, gained), p, p_holm in zip(
            runs[1:], flips, counts, p_values, holm(p_values), strict=True
        )
    ]
