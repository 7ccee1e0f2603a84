"""What a network's certainty is worth, in lines for people: shared by training, measuring and inspecting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.cli.output import percent
from striate.evaluation import Evaluation
from striate.evaluation.calibration import Calibration
from striate.evaluation.calibration_error import CalibrationFigures


def calibration_line(result: Evaluation) -> str:
    """Return one line: the expected calibration error of a part, what it was before, and the temperature."""
    if result.after is None or result.calibration is None:
        return f"certainty  not calibrated; expected calibration error {_error(result.before)} on {result.part}"
    how = "" if result.held_out else ", cross-fitted"
    return (
        f"certainty  expected calibration error {_error(result.after)} on {result.part}{how}, "
        f"{result.before.ece:.4f} before calibration (temperature {result.calibration.temperature:.3g})"
    )


def accepted_line(result: Evaluation) -> str | None:
    """Return one line: how many answers of a part are accepted, and how often these are right; None if all are."""
    figures = result.among_accepted
    if figures is None:
        return None
    own = not result.held_out and result.calibration is not None and result.calibration.error_rate is not None
    how = "; the threshold was set on these" if own else ""
    if figures.accuracy is None:
        return f"accepted   none of {result.count:,} answers on {result.part}{how}"
    share = percent(figures.accuracy, (figures.interval_95[0], figures.interval_95[1]))
    coverage = f"{100 * figures.coverage:.2f} % of {result.count:,} answers on {result.part}"
    return f"accepted   {coverage}; right among them {share} of {figures.count:,}{how}"


def certainty_lines(result: Evaluation) -> list[str]:
    """Return all that is told of a part: figures before and after, what is accepted, what looks unknown."""
    lines = [calibration_line(result)]
    first = "" if result.after is None else "before"
    for name, figures in ((first, result.before), ("after", result.after)):
        if figures is not None:
            lines.append(
                f"  {name:<8} classwise {figures.classwise_ece:.4f}, Brier score {figures.brier:.4f}, "
                f"negative log-likelihood {figures.nll:.4f}"
            )
    lines += [line for line in [accepted_line(result)] if line is not None]
    unknown = result.unknown
    if unknown is not None and result.calibration is not None and result.calibration.unknown is not None:
        share, stated = float(unknown.double().mean()), result.calibration.unknown.false_alarms
        lines.append(
            f"unknown    {100 * share:.2f} % look unlike the training pictures "
            f"(of pictures like the validation part at most {100 * stated:.2g} %)"
        )
    return lines


def rule_lines(calibration: Calibration | None, metrics: Mapping[str, Any]) -> list[str]:
    """Return what a model file says of its certainty: how it is calibrated, what it rejects and takes for unknown."""
    if calibration is None:
        return ["certainty  not calibrated"]
    told = "not calibrated"
    if calibration.has_temperature:
        told = f"temperature {calibration.temperature:.3g}, from {calibration.count:,} validation pictures"
        errors = [f"{figures.ece:.4f} on {part}" for part, figures in metrics.items() if hasattr(figures, "ece")]
        told += f"; expected calibration error {', '.join(errors)}" if errors else ""
    lines = [f"certainty  {told}"]
    if calibration.reject_below is not None:
        why = (
            "" if calibration.error_rate is None else f", for {100 * calibration.error_rate:g} % errors among the rest"
        )
        lines.append(f"don't know below a probability of {calibration.reject_below:.4f}{why}")
    elif calibration.error_rate is not None:
        lines.append(f"don't know always: nothing promises {100 * calibration.error_rate:g} % errors")
    if calibration.unknown is not None:
        rule = calibration.unknown
        lines.append(
            f"unknown    beyond {rule.threshold:.4g} from training pictures, where at most "
            f"{100 * rule.false_alarms:.2g} % of pictures like the {rule.count:,} validation ones lie"
        )
    return lines


def _error(figures: CalibrationFigures) -> str:
    low, high = figures.ece_interval_95
    return f"{figures.ece:.4f} (95 %: {low:.4f}–{high:.4f})"
