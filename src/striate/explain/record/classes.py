"""Chapter: every class by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from striate.evaluation import Evaluation, SingleLabelEvaluation
from striate.evaluation.metrics import ClassScore, wilson_interval
from striate.evaluation.multi_label import LabelScore
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.lettering import families, wrapped
from striate.explain.record.texts import part_text, percent
from striate.explain.subject import Subject

MOST = 50  # classes that a table or figure has room for: those with the smallest recall
WIDTH, ROW, NAME, TYPE = 6.4, 0.2, 1.6, 7.5  # inches and points


@CHAPTERS.register("classes")
def classes(subject: Subject, effort: Effort) -> Chapter:
    """Return each class's precision, recall with its interval, and F1; of very many classes the worst."""
    result = subject.evaluation
    scores = hardest(result)
    shown = scores[:MOST]
    missing = [score.name for score in result.per_class if not score.count]
    rows = [[score.name, f"{score.count:,}", *_cells(score), *_taken_for(result, score.name)] for score in shown]
    columns = ["class", "pictures", "precision", "recall (95 %)", "F1"]
    columns += ["average precision"] if result.labels.ndim == 2 else ["mostly taken for"]
    which = f"the {len(shown)} of {len(scores):,} classes" if len(shown) < len(scores) else "the classes"
    text = [
        f"Of {part_text(result)}, {which} by recall, the hardest first. Recall: of the pictures that are of the class, "
        "the share that is found. Precision: of those said to be of it, the share that is. F1: their harmonic mean."
    ]
    warnings = [f"No picture of {', '.join(missing[:10])}: nothing is known of it here."] if missing else []
    plates = [_plate(shown, result)] if shown and effort == "full" else []
    values: dict[str, Any] = {
        score.name: {"precision": score.precision, "recall": score.recall, "f1": score.f1} for score in scores
    }
    return Chapter("classes", "Class by class", text, plates, [Table(columns, rows)], values, warnings)


def hardest(result: Evaluation) -> list[ClassScore]:
    """Return the scores of the classes with pictures, the smallest recall first."""
    there = [score for score in result.per_class if score.count]
    return sorted(there, key=lambda score: score.recall or 0.0)


def _interval(score: ClassScore) -> tuple[float, float]:
    return wilson_interval(round((score.recall or 0.0) * score.count), score.count)


def _cells(score: ClassScore) -> list[str]:
    f1 = "n/a" if score.f1 is None else f"{score.f1:.4f}"
    return [percent(score.precision), percent(score.recall, _interval(score)), f1]


def _taken_for(result: Evaluation, name: str) -> list[str]:
    number = next(n for n, score in enumerate(result.per_class) if score.name == name)
    if not isinstance(result, SingleLabelEvaluation):
        score = result.per_class[number]
        precision = score.average_precision if isinstance(score, LabelScore) else None
        return ["n/a" if precision is None else f"{precision:.4f}"]
    row = result.confusion[number].clone()
    row[number] = 0
    count, other = int(row.max()), int(row.argmax())
    return [f"{result.per_class[other].name} ({count:,})" if count else "none"]


def _plate(scores: Sequence[ClassScore], result: Evaluation) -> Plate:
    best = scores[-1].name
    return Plate(
        "classes-recall",
        recall_figure(scores, f"Recall of each class, {part_text(result)}"),
        "Dot: the share of a class's pictures that is found; line: its 95 % interval (Wilson), long where there are "
        "few pictures.",
        f"Recall of {len(scores)} classes with intervals; lowest {scores[0].name}, highest {best}.",
    )


def recall_figure(scores: Sequence[ClassScore], title: str) -> Figure:
    """Return the figure of classes' recall with 95 % intervals, one line each in the order given."""
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(WIDTH, 1.1 + ROW * len(scores)), dpi=150, layout="constrained")
        figure.suptitle("\n".join(wrapped(title, WIDTH - 0.4, 11, 2)), fontsize=11, parse_math=False)
        axis = figure.subplots()
        places = np.arange(len(scores))
        recall = np.array([score.recall or 0.0 for score in scores])
        limits = np.array([_interval(score) for score in scores])
        error = np.maximum(np.abs(limits.T - recall), 0)
        axis.errorbar(recall, places, xerr=error, fmt="o", color="#0072b2", markersize=4, elinewidth=1.2, capsize=2)
        axis.set_yticks(places, [wrapped(score.name, NAME, TYPE, 1)[0] for score in scores], parse_math=False)
        axis.set_ylim(len(scores) - 0.5, -0.5)
        axis.set_xlim(min(0.9, float(limits.min()) - 0.02), 1.01)
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axis.tick_params(labelsize=TYPE)
        axis.grid(color="0.9", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure
