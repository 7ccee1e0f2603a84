"""The chapter on mistakes: which answers are wrong, which are near it, and which labels may be the ones that are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from pydantic import JsonValue
from torch import Tensor

from striate.data.dataset import ImageDataset, label_texts
from striate.evaluation import Evaluation
from striate.evaluation.decision import confidence
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.confident import label_errors
from striate.explain.lettering import isolated
from striate.explain.picture_rows import Row, Shown, picture_rows
from striate.explain.predictions import NO_CLASS, WRONG, mistakes, mistakes_grid, prediction_grid
from striate.explain.subject import Subject

MOST_CELLS = 20  # of the table


@dataclass(frozen=True)
class Scope:
    """How much is shown: pictures of each kind, cells of the confusion matrix, and pictures of each cell."""

    pictures: int
    cells: int
    each: int


SCOPES: dict[Effort, Scope] = {"quick": Scope(12, 4, 8), "full": Scope(24, 10, 10)}


@dataclass(frozen=True, eq=False)
class Confusion:
    """One way of being wrong, and the pictures of it.

    Args:
        pattern: For people, with '{}' for each name: '{} taken for {}'; with any number of classes each, '{} missed'.
        true: The class that it is, or None where a class is seen that is not there.
        said: The class that is answered, or None where one is missed.
        numbers: Its pictures, int64, the most confident first.
        of: How many pictures it could have happened to.
    """

    pattern: str
    true: str | None
    said: str | None
    numbers: Tensor
    of: int

    @property
    def names(self) -> list[str]:
        """The classes of the pattern, in its order."""
        return [name for name in (self.true, self.said) if name is not None]

    @property
    def told(self) -> str:
        """What is wrong, for people: 'Shirt taken for Coat'."""
        return self.pattern.format(*map(isolated, self.names))


@dataclass(frozen=True, eq=False)
class Doubts:
    """Labels that are probably wrong, of pictures that the network was not trained on.

    Args:
        numbers: int64; the worst first, a picture once.
        suggested: The labels that the network would rather give them, int64 n or bool n K.
    """

    numbers: Tensor
    suggested: Tensor


def least_certain(evaluation: Evaluation) -> Tensor:
    """Return the numbers of the pictures, int64, the least certain answer first, the first of equals."""
    return confidence(evaluation.probabilities, evaluation.predictions).argsort(stable=True)


def confusions(evaluation: Evaluation, classes: Sequence[str]) -> list[Confusion]:
    """Return the ways of being wrong that occur, those with most pictures first.

    They are the cells beside the diagonal of the confusion matrix. Where a picture may be of any number of classes,
    each class can be missed, and seen where it is not.

    Args:
        evaluation: What was answered.
        classes: Names.
    """
    found = list(
        _missed_and_invented(evaluation, classes) if evaluation.labels.ndim == 2 else _cells(evaluation, classes)
    )
    return sorted(found, key=lambda cell: -len(cell.numbers))


def _cells(evaluation: Evaluation, classes: Sequence[str]) -> Iterator[Confusion]:
    wrong = mistakes(evaluation)
    pairs = evaluation.labels[wrong] * len(classes) + evaluation.predictions[wrong]
    counts = torch.bincount(evaluation.labels, minlength=len(classes))
    for pair in pairs.unique().tolist():
        true, said = divmod(pair, len(classes))
        yield Confusion("{} taken for {}", classes[true], classes[said], wrong[pairs == pair], int(counts[true]))


def _missed_and_invented(evaluation: Evaluation, classes: Sequence[str]) -> Iterator[Confusion]:
    for number, name in enumerate(classes):
        there, said = evaluation.labels[:, number], evaluation.predictions[:, number]
        surest = evaluation.probabilities[:, number].argsort(stable=True)  # the least probable first
        for pattern, wrong, order, of in (
            ("{} missed", there & ~said, surest, there),
            ("{} seen where it is not", ~there & said, surest.flip(0), ~there),
        ):
            numbers = order[wrong[order]]
            if len(numbers):
                missed = of is there
                yield Confusion(pattern, name if missed else None, None if missed else name, numbers, int(of.sum()))


def doubtful_labels(evaluation: Evaluation) -> Doubts:
    """Return the labels that confident learning takes for wrong (explain/confident), by the network's own answers.

    That asks for pictures the network was not trained on: it would have learned their wrong labels, too. Where a
    picture may be of any number of classes, each class is looked at by itself, and the worst of them counts.

    Args:
        evaluation: What was answered.
    """
    labels, probabilities = evaluation.labels, evaluation.probabilities
    if labels.ndim == 1:
        numbers = label_errors(labels, probabilities)
        return Doubts(numbers, probabilities[numbers].argmax(1))
    doubted = torch.zeros_like(labels)
    for number in range(labels.shape[1]):
        yes = probabilities[:, number]
        doubted[label_errors(labels[:, number].long(), torch.stack([1 - yes, yes], 1)), number] = True
    given = torch.where(labels, probabilities, 1 - probabilities)
    least = torch.where(doubted, given, 1.0).amin(1)
    numbers = doubted.any(1).nonzero().squeeze(1)
    numbers = numbers[least[numbers].argsort(stable=True)]
    return Doubts(numbers, labels[numbers] ^ doubted[numbers])


def confusions_figure(
    cells: Sequence[Confusion], evaluation: Evaluation, pictures: ImageDataset, each: int, title: str
) -> Figure:
    """Return a row of pictures for each way of being wrong, the most confident first.

    Args:
        cells: What to show.
        evaluation: What was answered.
        pictures: What was measured.
        each: Most pictures in a row.
        title: Over all.
    """
    sure = confidence(evaluation.probabilities, evaluation.predictions)
    rows = []
    for cell in cells:
        shown = []
        for number in cell.numbers[:each].tolist():
            if evaluation.labels.ndim == 1:
                share = sure[number]
            else:
                share = evaluation.probabilities[number, pictures.classes.index(cell.true or cell.said or "")]
            shown.append(Shown(pictures.images[number], [f"{100 * float(share):.1f} %"], WRONG))
        count = len(cell.numbers)
        more = f", the {len(shown)} most confident" if len(shown) < count else ""
        rows.append(Row(f"{cell.pattern}: {count:,} of {cell.of:,}{more}", shown, names=cell.names))
    return picture_rows(rows, title)


@CHAPTERS.register("mistakes")
def mistakes_chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return the most confident mistakes, the least certain answers, the commonest confusions and doubtful labels."""
    scope, result = SCOPES[effort], subject.evaluation
    part = "" if result.part == "all" else f" of the {result.part} part"
    wrong, cells = mistakes(result), confusions(result, subject.classes)
    texts = [_about(subject, cells)]
    plates = [
        Plate(
            "mistakes-confident",
            mistakes_grid(result, subject.pictures, scope.pictures),
            "Wrong answers of the highest probability: a label that is wrong, a picture that shows two things, or what "
            "the network has not learned.",
            f"{min(len(wrong), scope.pictures)} wrongly answered pictures with answer, probability and true class.",
        )
    ]
    if cells:
        shown = cells[: scope.cells]
        on = part.replace(" of", " on", 1)
        of = f"The {len(shown)} commonest of {len(cells):,} ways" if len(shown) < len(cells) else "All ways"
        title = f"{of} of being wrong{on}"
        what = "the class" if subject.spec.multi_label else "the answer"
        plates.append(
            Plate(
                "mistakes-confusions",
                confusions_figure(shown, result, subject.pictures, scope.each, title),
                f"A row for each; under a picture stands the probability of {what}.",
                "; ".join(f"{cell.told}: {len(cell.numbers)}" for cell in shown),
            )
        )
    unsure = least_certain(result)[: scope.pictures]
    plates.append(
        Plate(
            "mistakes-uncertain",
            _grid(subject, unsure, f"The least certain of {result.count:,} answers{part}"),
            "Answers of the lowest probability, right (✓) or wrong (✗).",
            f"{len(unsure)} pictures with uncertain answers.",
        )
    )
    values: dict[str, JsonValue] = {
        "pictures": result.count,
        "wrong": len(wrong),
        "most_confident": _listed(subject, wrong[: scope.pictures]),
        "least_certain": _listed(subject, unsure),
        "confusions": [
            {"true": cell.true, "answer": cell.said, "count": len(cell.numbers), "of": cell.of} for cell in cells
        ],
    }
    if result.part == "train":
        texts.append("These are the pictures that the network was trained on: it says nothing against their labels.")
    else:
        doubts = doubtful_labels(result)
        values["doubtful_labels"] = _listed(subject, doubts.numbers, doubts.suggested)
        texts.append(_about_labels(result, len(doubts.numbers)))
        worst = doubts.numbers[: scope.pictures]
        if len(worst):
            title = f"Labels to look at first, of {len(doubts.numbers):,} that are doubted among {result.count:,}{part}"
            plates.append(
                Plate(
                    "mistakes-labels",
                    _grid(subject, worst, title),
                    "Pictures whose labels confident learning doubts, the worst first; 'true' is the label as it was "
                    "given. Many may be hard pictures that are labelled rightly: look before you correct.",
                    f"{len(worst)} pictures with doubtful labels.",
                )
            )
    return Chapter("mistakes", "Where it is wrong", texts, plates, [_table(cells)] if cells else [], values)


def _about_labels(evaluation: Evaluation, doubted: int) -> str:
    if not doubted:
        return "No label stands out as probably wrong."
    whose = "the label of 1" if doubted == 1 else f"the labels of {doubted:,}"
    return (
        f"Confident learning doubts {whose} of {evaluation.count:,} pictures. The better the network, the more of "
        "these are wrong labels and not hard pictures."
    )


def _grid(subject: Subject, numbers: Tensor, title: str) -> Figure:
    result = subject.evaluation
    return prediction_grid(
        subject.pictures.images[numbers],
        result.labels[numbers],
        result.probabilities[numbers],
        subject.classes,
        predictions=result.predictions[numbers],
        title=title,
    )


def _about(subject: Subject, cells: Sequence[Confusion]) -> str:
    """Say how many answers are wrong, and in how few ways half of that comes about."""
    result = subject.evaluation
    wrong = result.count - result.correct
    if not wrong:
        return f"All {result.count:,} {result.counted} are answered rightly."
    low, high = (1 - bound for bound in reversed(result.interval))
    text = (
        f"{wrong:,} of {result.count:,} {result.counted} are answered wrongly: {100 * wrong / result.count:.1f} % "
        f"(95 %: {100 * low:.1f}–{100 * high:.1f} %)."
    )
    total, reached, ways = sum(len(cell.numbers) for cell in cells), 0, 0
    while 2 * reached < total:
        reached += len(cells[ways].numbers)
        ways += 1
    named = ", ".join(cell.told for cell in cells[: min(ways, 3)])
    more = ", …" if ways > 3 else ""
    if len(cells) == 1:
        return f"{text} All of it is one way of being wrong: {named}."
    return f"{text} Half of that is {ways} of {len(cells)} ways of being wrong that occur: {named}{more}."


def _table(cells: Sequence[Confusion]) -> Table:
    rows = [
        [cell.told, f"{len(cell.numbers):,}", f"{cell.of:,}", f"{100 * len(cell.numbers) / cell.of:.1f} %"]
        for cell in cells[:MOST_CELLS]
    ]
    more = f", {MOST_CELLS} of {len(cells):,}" if len(cells) > MOST_CELLS else ""
    return Table(["what is wrong", "pictures", "of", "share"], rows, f"Ways of being wrong, the commonest first{more}.")


def _listed(subject: Subject, numbers: Tensor, suggested: Tensor | None = None) -> list[JsonValue]:
    """Return pictures as plain values: name, label, answer and probability."""
    result, classes = subject.evaluation, subject.classes
    labels = label_texts(result.labels[numbers], classes)
    answers = label_texts(result.predictions[numbers] if suggested is None else suggested, classes)
    shares = subject.confidences[numbers].tolist()
    return [
        {
            "picture": subject.pictures.names[number],
            "label": label or NO_CLASS,
            "answer": answer or NO_CLASS,
            "probability": share,
        }
        for number, label, answer, share in zip(numbers.tolist(), labels, answers, shares, strict=True)
    ]
