"""Chapter: how far the network's probabilities can be believed."""

from __future__ import annotations

from dataclasses import asdict

from striate.evaluation import Evaluation
from striate.evaluation.calibration_error import CalibrationFigures
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.record.texts import part_text, percent
from striate.explain.reliability import reliability_figure
from striate.explain.subject import Subject


@CHAPTERS.register("calibration")
def calibration(subject: Subject, effort: Effort) -> Chapter:
    """Return the reliability diagram, and the errors of the probabilities before and after calibration."""
    result = subject.evaluation
    figures = result.after or result.before
    low, high = figures.ece_interval_95
    text = [
        f"Where the network says 90 %, it should be right nine times in ten. On {part_text(result)} its probabilities "
        f"are off by {percent(figures.ece, (low, high))} on average: the expected calibration error, in 15 bins.",
        _how(result),
    ]
    text += _accepted(result) + _unknown(result)
    values = {"before": asdict(result.before), "after": asdict(result.after) if result.after else None}
    plate = Plate(
        "calibration-reliability",
        reliability_figure(result),
        "Each mark is a bin of answers with about the same probability; its height is how many of them are right, its "
        "line the 95 % interval. Below the diagonal the network is too sure, above it too modest.",
        f"Reliability diagram: share of right answers over their probability; expected error {percent(figures.ece)}.",
    )
    return Chapter("calibration", "Calibration", text, [plate], [_table(result)], values)


def _how(result: Evaluation) -> str:
    if result.after is None or result.calibration is None:
        return "No temperature was fitted: the probabilities are as the network gives them."
    fitted = f"All logits are divided by one temperature, {result.calibration.temperature:.3g}, fitted to the "
    own = "" if result.held_out else " These are those very pictures, so each one's temperature is fitted to others."
    return f"{fitted}validation part; no answer changes by that.{own}"


def _table(result: Evaluation) -> Table:
    kinds: list[tuple[str, CalibrationFigures]] = [("as the network gives them", result.before)]
    kinds += [("calibrated", result.after)] if result.after else []
    rows = [
        [
            name,
            f"{figures.ece:.4f} ({figures.ece_interval_95[0]:.4f}–{figures.ece_interval_95[1]:.4f})",
            f"{figures.classwise_ece:.4f}",
            f"{figures.brier:.4f}",
            f"{figures.nll:.4f}",
        ]
        for name, figures in kinds
    ]
    columns = ["probabilities", "expected error (95 %)", "by class", "Brier score", "negative log-likelihood"]
    return Table(columns, rows, "All are better the smaller they are")


def _accepted(result: Evaluation) -> list[str]:
    figures, rule = result.among_accepted, result.calibration
    if figures is None or rule is None:
        return []
    interval = (figures.interval_95[0], figures.interval_95[1])
    below = "" if rule.reject_below is None else f" with a probability of {rule.reject_below:.4f} or more"
    return [
        f"Answers{below} are accepted, {percent(figures.coverage)} of them; of these "
        f"{percent(figures.accuracy, interval)} are right. To the others the network says that it does not know."
    ]


def _unknown(result: Evaluation) -> list[str]:
    if result.unknown is None:
        return []
    share = float(result.unknown.double().mean())
    return [f"{percent(share)} of the pictures look unlike all that the network was trained on."]
