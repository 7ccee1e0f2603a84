"""Chapter: what is taken for what, cell by cell, with the pictures of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from striate.evaluation import Evaluation, SingleLabelEvaluation
from striate.evaluation.decision import confidence
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.lettering import families, isolated, printable, wrapped
from striate.explain.record.texts import part_text, percent
from striate.explain.subject import Subject

MOST_NAMED = 40  # classes whose names stand at the sides of a matrix
MOST_NUMBERED = 20  # classes up to which every cell has its number
MOST_TOLD = 15  # confusions in the table
NAME, TYPE = 1.3, 7.5  # inches, points
FOUND, MISSED, ADDED = "found", "missed", "wrongly told"
OUTCOMES = (FOUND, MISSED, ADDED)  # of a class, where a picture may be of any number of them


@dataclass(frozen=True, eq=False)
class Cell:
    """The pictures of one cell of the matrix.

    Args:
        row: True class; of any number of classes each, the class.
        column: Class that is told; of any number of classes each, the number in `OUTCOMES`.
        is_right: Whether the answer is right there.
        numbers: The measured pictures, int64, those in which the network is surest of its answer first; where it is
            right the least sure first.
    """

    row: int
    column: int
    is_right: bool
    numbers: Tensor


def cells(result: Evaluation) -> list[Cell]:
    """Return the cells with pictures, row by row."""
    sure = confidence(result.probabilities, result.predictions)
    order = sure.argsort(descending=True, stable=True)
    if result.labels.ndim == 1:
        places = result.labels * len(result.per_class) + result.predictions
        grouped = _grouped(places[order], order)
        pairs = [(divmod(place, len(result.per_class)), numbers) for place, numbers in grouped]
        return [_cell(row, column, row == column, numbers) for (row, column), numbers in pairs]
    made = []
    for row in range(len(result.per_class)):
        truth, told = result.labels[order, row], result.predictions[order, row]
        for column, flags in enumerate((truth & told, truth & ~told, ~truth & told)):
            if bool(flags.any()):
                made.append(_cell(row, column, column == 0, order[flags]))
    return made


def _cell(row: int, column: int, is_right: bool, numbers: Tensor) -> Cell:
    return Cell(row, column, is_right, numbers.flip(0) if is_right else numbers)


def _grouped(keys: Tensor, values: Tensor) -> list[tuple[int, Tensor]]:
    """Return the values of each key, in their order, by key."""
    order = keys.argsort(stable=True)
    unique, counts = keys[order].unique_consecutive(return_counts=True)
    return list(zip(unique.tolist(), values[order].split(counts.tolist()), strict=True))


def column_names(result: Evaluation) -> list[str]:
    """Return what stands over the columns: the classes, or what may become of a class."""
    return list(OUTCOMES) if result.labels.ndim == 2 else [score.name for score in result.per_class]


@CHAPTERS.register("confusion")
def confusion(subject: Subject, effort: Effort) -> Chapter:
    """Return the confusion matrix and the most frequent confusions; of label sets what is found, missed and added."""
    result = subject.evaluation
    wrong = sorted((cell for cell in cells(result) if not cell.is_right), key=lambda cell: -len(cell.numbers))
    mistakes = result.count - result.correct
    text = [f"Of {part_text(result)}, {mistakes:,} are answered wrongly ({percent(mistakes / result.count)})."]
    if isinstance(result, SingleLabelEvaluation):
        text[0] += (
            " A row is what the pictures are, a column what they are taken for; right answers lie on the diagonal."
        )
        plates = [_plate(result)] if len(result.per_class) <= 1000 else []
    else:
        text[0] += (
            " For each class: how many of its pictures it is found on, on how many missed, on how many others told."
        )
        plates = []
    names = column_names(result)
    rows = [
        [result.per_class[cell.row].name, names[cell.column], f"{len(cell.numbers):,}", _share(cell, result)]
        for cell in wrong[:MOST_TOLD]
    ]
    columns = ["true class", "taken for", "pictures", "share of the class"]
    if result.labels.ndim == 2:
        columns[:2] = ["class", "it is"]
    tables = [Table(columns, rows, "The most frequent mistakes")] if rows else []
    values: dict[str, Any] = {"mistakes": mistakes, "most_frequent": [row[:3] for row in rows]}
    return Chapter("confusion", "What is taken for what", text, plates, tables, values)


def _share(cell: Cell, result: Evaluation) -> str:
    count = result.per_class[cell.row].count
    return percent(len(cell.numbers) / count) if count and (result.labels.ndim == 1 or cell.column == 1) else "n/a"


def _plate(result: SingleLabelEvaluation) -> Plate:
    names = [score.name for score in result.per_class]
    return Plate(
        "confusion-matrix",
        confusion_figure(result.confusion, names, f"Confusion matrix: {part_text(result)}"),
        _caption(names),
        f"Confusion matrix of {len(names)} classes; {result.correct:,} of {result.count:,} on the diagonal.",
    )


def _caption(names: Sequence[str]) -> str:
    """Return what the figure shows: no numbers of very many classes, nor their names."""
    text = "Row: true class; column: answer. The shade is the share of the row"
    if len(names) <= MOST_NUMBERED:
        return f"{text}, the number how many pictures."
    if len(names) <= MOST_NAMED:
        return f"{text}."
    first, last = (isolated(printable(name)) for name in (names[0], names[-1]))
    return f"{text}. Classes are numbered in the model's own order, from 0 ({first}) to {len(names) - 1} ({last})."


def confusion_figure(counts: Tensor, names: Sequence[str], title: str) -> Figure:
    """Return the figure of a confusion matrix, int64 K K (row: true); each cell shaded by its share of the row.

    Numbers stand in the cells up to 20 classes, names at the sides up to 40.
    """
    count = len(names)
    side = max(2.6, 0.42 * count) if count <= MOST_NUMBERED else 6.5
    room = NAME if count <= MOST_NAMED else 0.5
    shares = (counts / counts.sum(1, keepdim=True).clamp_min(1)).numpy()
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(side + room + 0.6, side + room + 0.9), dpi=150, layout="constrained")
        figure.suptitle("\n".join(wrapped(title, side + room, 11, 2)), fontsize=11, parse_math=False)
        axis = figure.subplots()
        axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.25, interpolation="nearest")
        axis.set_xlabel("answer", fontsize=TYPE + 1)
        axis.set_ylabel("true class", fontsize=TYPE + 1)
        if count <= MOST_NAMED:
            short = [wrapped(name, NAME, TYPE, 1)[0] for name in names]
            axis.set_xticks(range(count), short, rotation=90, fontsize=TYPE, parse_math=False)
            axis.set_yticks(range(count), short, fontsize=TYPE, parse_math=False)
        axis.tick_params(length=0, labelsize=TYPE)
        axis.spines[:].set_visible(False)
        if count <= MOST_NUMBERED:
            for row, column in torch.nonzero(counts).tolist():
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{int(counts[row, column]):,}"
                size = min(TYPE, 0.42 * 72 / (0.66 * len(text)))
                axis.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    return figure
