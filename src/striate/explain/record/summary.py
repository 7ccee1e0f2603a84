"""Chapter: what the network does, in the figures that are told first."""

from __future__ import annotations

from typing import Any

from striate.core.duration import duration
from striate.evaluation import MultiLabelEvaluation, SingleLabelEvaluation
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.predictions import prediction_grid
from striate.explain.record.texts import not_kept, part_text, percent, seen_text
from striate.explain.subject import Subject

SHOWN = {"quick": 6, "full": 12}
MOST_NAMED = 12
WIDE = 0.05  # half width of an interval from which a figure says little


@CHAPTERS.register("summary")
def summary(subject: Subject, effort: Effort) -> Chapter:
    """Return accuracy with its interval by part, what chance and the largest class would reach, and some answers."""
    result = subject.evaluation
    low, high = result.interval
    whole = "as a whole set of classes " if isinstance(result, MultiLabelEvaluation) else ""
    learnt = result.part == "train" or bool(subject.trained_on)
    of_others = "So many pictures allow a statement about others of the same kind: the true share"
    if subject.trained_on is None:
        of_others = "If it was not trained on them, so many pictures allow a statement about others: the true share"
    text = [
        f"Of {part_text(result)} the network classifies {percent(result.accuracy)} {whole}rightly."
        + ("" if learnt else f" {of_others} lies between {percent(low)} and {percent(high)}, with 95 % confidence."),
        _network(subject),
    ]
    warnings = _trained_on(subject)
    if high - low > 2 * WIDE and not learnt:
        warnings.append(
            f"{part_text(result)} say little: the true accuracy may be anything from {percent(low)} to {percent(high)}."
        )
    if isinstance(result, SingleLabelEvaluation):
        text.append(_baseline(result))
        if result.is_imbalanced:
            warnings.append(
                "The classes differ much in size, so accuracy flatters whoever knows the large ones: the balanced "
                f"accuracy, the mean of the classes' own, is {percent(*result.balanced_accuracy)}."
            )
    return Chapter(
        name="summary",
        title="Summary",
        text=text,
        plates=[_examples(subject, SHOWN[effort])],
        tables=[_by_part(subject), _figures(subject)],
        values=_values(subject),
        warnings=warnings,
    )


def _trained_on(subject: Subject) -> list[str]:
    """Return what is to be minded where the network has, or may have, seen in training what it is measured on."""
    if subject.evaluation.part == "train":
        return ["These are the pictures it was trained on: of new ones this says little."]
    if subject.trained_on is None:
        return [
            "Whether it was trained on these pictures cannot be known of a model file alone; if so, they say little."
        ]
    return [seen_text(subject.trained_on, len(subject.pictures))] if subject.trained_on else []


def _network(subject: Subject) -> str:
    parameters = sum(parameter.numel() for parameter in subject.model.parameters())
    channels, height, width = subject.spec.input_shape
    kind = "grey" if channels == 1 else "colour"
    trained = f", trained on {subject.card.data}" if subject.card.data else ""
    said = f"The network is {subject.card.architecture.name} with {parameters:,} parameters{trained}. "
    said += f"It takes {kind} pictures of {height} × {width} pixels and tells {_classes(subject)}."
    if subject.run is not None and (lines := subject.run.metrics()):
        seconds = sum(line.get("seconds") or 0.0 for line in lines)
        epochs = sum(line["epoch"] > 0 for line in lines)  # epoch 0 is the head
        trained = f"trained for {epochs} epoch{'s' * (epochs > 1)}" if epochs else "fitted to frozen features"
        said = " ".join([f"{said} It was {trained} in {duration(seconds)}.", *not_kept(subject.run)])
    return said


def _classes(subject: Subject) -> str:
    names = f": {', '.join(subject.classes)}" if len(subject.classes) <= MOST_NAMED else ""
    return f"{len(subject.classes):,} classes{names}"


def _baseline(result: SingleLabelEvaluation) -> str:
    largest = max(result.per_class, key=lambda score: score.count)
    share = largest.count / result.count
    return (
        f"For comparison: always to answer “{largest.name}”, the most frequent class here, would be right "
        f"on {percent(share)} of them."
    )


def _by_part(subject: Subject) -> Table:
    result = subject.evaluation
    rows = {result.part: [result.part, f"{result.count:,}", percent(result.accuracy, result.interval)]}
    for part, figures in subject.card.metrics.items():
        more = figures.model_extra or {}
        interval = more.get("interval_95")
        told = percent(figures.accuracy, (interval[0], interval[1]) if interval else None)
        rows.setdefault(part, [part, f"{figures.count:,}", told])
    what = "whole sets right" if subject.spec.multi_label else "accuracy"
    caption = "Each part of the data that was measured, with the 95 % interval (Wilson)"
    return Table(["part", "pictures", what], [rows[part] for part in sorted(rows)], caption)


def _figures(subject: Subject) -> Table:
    result = subject.evaluation
    certainty = result.after or result.before
    rows = [["loss (cross-entropy before calibration)", f"{result.loss:.4f}"]]
    if isinstance(result, SingleLabelEvaluation):
        rows += [
            [f"right class among the {k} most probable", percent(share)] for k, share in result.top_k.items() if k > 1
        ]
        rows.append(["balanced accuracy (mean recall)", percent(*result.balanced_accuracy)])
        f1 = result.macro_f1
        rows.append(["macro F1", f"{f1.value:.4f} ({f1.interval[0]:.4f}–{f1.interval[1]:.4f})"])
    elif isinstance(result, MultiLabelEvaluation):
        rows.append(["single answers right (Hamming)", percent(result.hamming_accuracy)])
        rows += [[name, "n/a" if value is None else f"{value:.4f}"] for name, value in _f1(result)]
    low, high = certainty.ece_interval_95
    rows.append(["expected calibration error", f"{certainty.ece:.4f} ({low:.4f}–{high:.4f})"])
    if accepted := result.among_accepted:
        interval = (accepted.interval_95[0], accepted.interval_95[1])
        rows.append(["answers accepted", percent(accepted.coverage)])
        rows.append(["right among the accepted", percent(accepted.accuracy, interval)])
    return Table(["figure", "value"], rows, f"Further figures of {part_text(result)}")


def _f1(result: MultiLabelEvaluation) -> list[tuple[str, float | None]]:
    return [("macro F1", result.macro_f1), ("micro F1", result.micro_f1)]


def _values(subject: Subject) -> dict[str, Any]:
    result = subject.evaluation
    figures = {"part": result.part, "count": result.count, "correct": result.correct, "accuracy": result.accuracy}
    return {**figures, "interval_95": list(result.interval), "loss": result.loss}


def _examples(subject: Subject, count: int) -> Plate:
    numbers = subject.examples(count)
    result = subject.evaluation
    figure = prediction_grid(
        subject.pictures.images[numbers],
        result.labels[numbers],
        result.probabilities[numbers],
        subject.classes,
        predictions=result.predictions[numbers],
        accepted=result.accepted[numbers].tolist(),
        title="Some answers: confident mistakes, uncertain right ones, typical ones",
    )
    right = int(subject.right[numbers].sum())
    caption = (
        "By turns the most confident mistake, the least certain right answer and a typical one. ✓ and a thin frame: "
        "right; ✗ and a dashed frame: wrong."
    )
    alt = f"{len(numbers)} pictures with the network's answers, {right} right and {len(numbers) - right} wrong."
    return Plate("summary-answers", figure, caption, alt)
