"""Pictures with what a network says of them; and its mistakes, the most confident first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from striate.core.errors import DataError
from striate.data.dataset import ImageDataset, label_texts
from striate.evaluation import Evaluation
from striate.evaluation.decision import confidence, is_right
from striate.explain.drawing import to_array
from striate.explain.lettering import families, isolated, text_width, wrapped

MAX_PICTURES = 64
MAX_MISTAKES = 24
SIDE, GAP, MARGIN = 1.0, 0.14, 0.2  # inches
LEAST_WIDTH = 4.4  # inches, of the title and caption over and under few pictures
FEW, FEW_COLUMNS, MANY_COLUMNS = 36, 6, 8
TYPE, LINE = 7.5, 0.135  # points, inches
TITLE_TYPE, TITLE_LINE = 11, 0.2
NO_CLASS, DONT_KNOW = "(none)", "don't know"


@dataclass(frozen=True)
class Verdict:
    """How a prediction is shown, so that it is told from the others without colour, too."""

    sign: str
    colour: str
    style: str
    width: float


# the colours of Okabe and Ito 2008
RIGHT = Verdict("✓ ", "#0072b2", "solid", 1.0)
WRONG = Verdict("✗ ", "#d55e00", "dashed", 2.2)
UNKNOWN = Verdict("", "0.2", "solid", 0.6)


def mistakes(evaluation: Evaluation) -> Tensor:
    """Return the numbers of the wrongly classified pictures, int64, the most confident first, the first of equals."""
    wrong = (~is_right(evaluation.predictions, evaluation.labels)).nonzero().squeeze(1)
    confidences = confidence(evaluation.probabilities[wrong], evaluation.predictions[wrong])
    return wrong[confidences.argsort(descending=True, stable=True)]


def mistakes_grid(evaluation: Evaluation, pictures: ImageDataset, count: int = MAX_MISTAKES) -> Figure:
    """Return the figure of the most confident mistakes; without any, it says so.

    Args:
        evaluation: Of these pictures.
        pictures: What was measured.
        count: Most to show, 1 … 64.
    """
    wrong = mistakes(evaluation)
    total, part = f"{evaluation.count:,}", "" if evaluation.part == "all" else f" of the {evaluation.part} part"
    if len(wrong) == 0:
        return _sheet([], f"No mistakes: all {total} pictures{part} are classified rightly")
    shown = wrong[:count]
    mistaken = "1 mistake" if len(wrong) == 1 else f"{len(wrong):,} mistakes"
    which = f"the {len(shown)} most confident" if len(shown) < len(wrong) else "the most confident first"
    return prediction_grid(
        pictures.images[shown],
        evaluation.labels[shown],
        evaluation.probabilities[shown],
        pictures.classes,
        predictions=evaluation.predictions[shown],
        title=f"{mistaken} among {total} pictures{part}, {which}",
    )


def prediction_grid(
    images: Tensor,
    labels: Tensor | None,
    probabilities: Tensor,
    classes: Sequence[str],
    *,
    predictions: Tensor | None = None,
    names: Sequence[str] | None = None,
    accepted: Sequence[bool] | None = None,
    title: str = "Predictions",
) -> Figure:
    """Return the figure of pictures, each over its predicted class, probability and, where known, true class.

    A right prediction has ✓ and a thin solid frame, a wrong one ✗ and a thick dashed frame.

    Args:
        images: uint8, N C H W; more than 64 are left out, and the title says so.
        labels: True classes, int64 N or, of any number of classes each, bool N K; None where they are not known.
        probabilities: Float, N K.
        classes: The K names.
        predictions: Predicted classes, int64 N or bool N K; the most probable by default, the first of equals.
        names: What to call each picture, in a last line; the end of a long name is shown.
        accepted: Whether each answer is accepted; of one that is not, "don't know" stands in its place.
        title: Over the whole.

    Raises:
        DataError: There is no picture, or the arguments are of different lengths.
    """
    if predictions is None:
        predictions = probabilities.argmax(1)
    given = [labels, probabilities, predictions, names, accepted]
    if {len(images), *(len(values) for values in given if values is not None)} != {len(images)}:
        raise DataError(f"{len(images)} pictures with a different number of labels, probabilities or names")
    if probabilities.shape[1] != len(classes):
        raise DataError(f"{probabilities.shape[1]} probabilities per picture for {len(classes)} classes")
    if len(images) == 0:
        raise DataError("no picture to draw", fix="give one or more")
    predicted = [text or NO_CLASS for text in label_texts(predictions, classes)]
    if accepted is not None:
        predicted = [text if sure else DONT_KNOW for text, sure in zip(predicted, accepted, strict=True)]
    confidences = confidence(probabilities, predictions).tolist()
    true, right = [], []
    if labels is not None:
        true = [text or NO_CLASS for text in label_texts(labels, classes)]
        right = is_right(predictions, labels).tolist()
    cells = [
        _Cell(
            image=images[number],
            verdict=UNKNOWN if labels is None else RIGHT if right[number] else WRONG,
            predicted=predicted[number],
            share=f"{100 * confidences[number]:.1f} %" + (" as a set" if predictions.ndim == 2 else ""),
            true=None if labels is None else true[number],
            name=None if names is None else names[number],
        )
        for number in range(min(len(images), MAX_PICTURES))
    ]
    more = f", the first {MAX_PICTURES} of {len(images):,}" if len(images) > MAX_PICTURES else ""
    return _sheet(cells, title + more)


@dataclass(frozen=True, eq=False)
class _Cell:
    image: Tensor  # C H W
    verdict: Verdict
    predicted: str
    share: str
    true: str | None
    name: str | None

    @cached_property
    def said(self) -> list[str]:
        """The lines about the prediction."""
        lines = wrapped(self.verdict.sign + isolated(self.predicted), SIDE, TYPE, 2)
        with_share = f"{lines[-1]}  {self.share}"
        return [*lines[:-1], with_share] if text_width(with_share, TYPE) <= SIDE else [*lines, self.share]

    @cached_property
    def known(self) -> list[str]:
        """The lines about what is known of the picture."""
        true = [] if self.true is None else wrapped(f"true: {isolated(self.true)}", SIDE, TYPE, 2)
        return [*true, *([] if self.name is None else [_end(self.name)])]


def _end(name: str) -> str:
    """Return a name, or as much of its end as there is room for."""
    mirrored = wrapped(name[::-1], SIDE, TYPE, 1)[0]
    return mirrored[::-1]


def _sheet(cells: Sequence[_Cell], title: str) -> Figure:
    """Return the figure, laid out in inches so that nothing overlaps."""
    columns = min(len(cells), FEW_COLUMNS if len(cells) <= FEW else MANY_COLUMNS)
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns or 1)]
    inner = columns * (SIDE + GAP) - GAP
    width = max(inner, LEAST_WIDTH) + 2 * MARGIN
    heads = wrapped(title, width - 2 * MARGIN, TITLE_TYPE, 3)
    top = MARGIN + TITLE_LINE * len(heads) + 0.08
    heights = [_picture_height(row) + LINE * max(len(c.said) + len(c.known) for c in row) + GAP for row in rows]
    height = top + sum(heights) + MARGIN - GAP / 2
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=150)
        figure.text(
            0.5,
            1 - MARGIN / height,
            "\n".join(heads),
            ha="center",
            va="top",
            fontsize=TITLE_TYPE,
            parse_math=False,
        )
        left = (width - inner) / 2
        for row, row_height in zip(rows, heights, strict=True):
            for column, cell in enumerate(row):
                x, h = left + column * (SIDE + GAP), _picture_height(row)
                axis = figure.add_axes((x / width, (height - top - h) / height, SIDE / width, h / height))
                _draw(cell, axis, h)
            top += row_height
    return figure


def _picture_height(row: Sequence[_Cell]) -> float:
    _, height, width = row[0].image.shape
    return SIDE * min(max(height / width, 0.25), 2.0)


def _draw(cell: _Cell, axis: Axes, height: float) -> None:
    axis.imshow(to_array(cell.image.float()), cmap="gray", vmin=0, vmax=255, interpolation="auto", aspect="equal")
    axis.set_axis_off()
    frame = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, clip_on=False)
    frame.set(edgecolor=cell.verdict.colour, linestyle=cell.verdict.style, linewidth=cell.verdict.width)
    axis.add_patch(frame)
    lines = [(line, cell.verdict.colour) for line in cell.said] + [(line, "black") for line in cell.known]
    for number, (line, colour) in enumerate(lines):
        y = -LINE * (number + 1.1) / height
        text = axis.text(0.5, y, line, transform=axis.transAxes, ha="center", va="baseline", parse_math=False)
        text.set(fontsize=TYPE, color=colour)
