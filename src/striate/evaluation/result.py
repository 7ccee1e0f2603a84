"""Evaluation: what was measured of a network on one part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from striate.evaluation.calibration import Calibration
from striate.evaluation.calibration_error import CalibrationFigures, calibration_figures
from striate.evaluation.decision import confidence, is_right
from striate.evaluation.macro import Macro, balanced_accuracy, macro_f1
from striate.evaluation.metrics import IMBALANCED, ClassScore
from striate.evaluation.rejection import AcceptedFigures, accepted_figures
from striate.evaluation.temperature import cross_fitted


@dataclass(frozen=True)
class Evaluation:
    """What a network does on one part of the data.

    Args:
        part: 'train', 'val' or 'test'.
        count, correct: Pictures, and those classified rightly.
        accuracy: correct / count.
        interval: Its 95 % interval (Wilson).
        loss: Mean cross-entropy of the logits as the network gives them, before any temperature.
        per_class: Each class's scores.
        predictions: int64, N; the class of the largest logit, the first of equals. Or bool, N K; each picture's
            classes.
        probabilities: float32, N K; calibrated where the network is.
        labels: int64 N, or bool N K.
        logits: float32, N K; before any temperature.
        calibration: What the network's card says of its certainty, if anything.
        held_out: Whether the calibration was fitted to other pictures than these.
        scores: float32, N; how unlike the training pictures each picture is, where that was measured.
    """

    counted: ClassVar[str] = "pictures"  # what is right or wrong as a whole

    part: str
    count: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    per_class: Sequence[ClassScore]
    predictions: Tensor
    probabilities: Tensor
    labels: Tensor
    logits: Tensor
    calibration: Calibration | None
    held_out: bool
    scores: Tensor | None

    @property
    def accepted(self) -> Tensor:
        """Which answers are accepted, bool N; all where nothing is rejected."""
        confidences = confidence(self.probabilities, self.predictions)
        return (self.calibration or Calibration()).accepts(confidences)

    @property
    def unknown(self) -> Tensor | None:
        """Which pictures look unlike the training pictures, bool N; None where that is not told."""
        if self.calibration is None or self.calibration.unknown is None or self.scores is None:
            return None
        return self.calibration.is_unknown(self.scores)

    @cached_property
    def before(self) -> CalibrationFigures:
        """What the probabilities would be worth without a temperature."""
        return calibration_figures(self.logits, self.labels)

    @cached_property
    def after(self) -> CalibrationFigures | None:
        """What the calibrated probabilities are worth; None where no temperature was fitted."""
        calibrated = self.calibrated_logits()
        return None if calibrated is None else calibration_figures(calibrated, self.labels)

    def calibrated_logits(self) -> Tensor | None:
        """Return the logits over the temperature, N K, as figures of it take them; None where none was fitted.

        Where it was fitted to these very pictures, each one's temperature is fitted to others of them instead.
        """
        if self.calibration is None or not self.calibration.has_temperature:
            return None
        return self.calibration.apply(self.logits) if self.held_out else cross_fitted(self.logits, self.labels)

    @cached_property
    def among_accepted(self) -> AcceptedFigures | None:
        """How the accepted answers do; None where nothing is rejected."""
        if self.calibration is None or not self.calibration.rejects:
            return None
        return accepted_figures(self.accepted, is_right(self.predictions, self.labels))

    def summary(self) -> dict[str, Any]:
        """Return all but the single pictures, as plain values."""
        temperature = self.calibration.temperature if self.calibration and self.calibration.count else None
        unknown = self.unknown
        return {
            "part": self.part,
            "count": self.count,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval_95": list(self.interval),
            "loss": self.loss,
            "calibration": {
                "temperature": temperature,
                "held_out": self.held_out,
                "before": asdict(self.before),
                "after": asdict(self.after) if self.after else None,
            },
            "accepted": asdict(self.among_accepted) if self.among_accepted else None,
            "unknown": None if unknown is None else _flagged(unknown),
            "per_class": [asdict(score) for score in self.per_class],
        }


def _flagged(unknown: Tensor) -> dict[str, float]:
    return {"count": int(unknown.sum()), "share": float(unknown.double().mean())}


@dataclass(frozen=True)
class SingleLabelEvaluation(Evaluation):
    """What a network does where a picture is of one class.

    Args:
        top_k: {k: share of pictures whose class is among the k most probable}, k = 1 and min(5, classes).
        confusion: Counts, int64 K K; row = true class, column = predicted class.
        balanced_loss: Mean over the classes of their mean cross-entropy.
    """

    top_k: dict[int, float]
    confusion: Tensor
    balanced_loss: float

    @property
    def balanced_accuracy(self) -> Macro:
        """Mean recall of the classes with pictures."""
        return balanced_accuracy(self.confusion)

    @property
    def macro_f1(self) -> Macro:
        """Mean F1 of the classes with pictures."""
        return macro_f1(self.confusion)

    @property
    def is_imbalanced(self) -> bool:
        """Whether the classes with pictures are of so different size that accuracy alone misleads."""
        counts = [score.count for score in self.per_class if score.count]
        return max(counts) >= IMBALANCED * min(counts)

    def summary(self) -> dict[str, Any]:
        """Return all but the single pictures, as plain values."""
        macro = {"balanced_accuracy": self.balanced_accuracy, "macro_f1": self.macro_f1}
        return {
            **super().summary(),
            "top_k": {str(k): share for k, share in self.top_k.items()},
            **{name: figure.value for name, figure in macro.items()},
            **{f"{name}_interval_95": list(figure.interval) for name, figure in macro.items()},
            "balanced_loss": self.balanced_loss,
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class MultiLabelEvaluation(Evaluation):
    """What a network does where a picture may be of any number of classes.

    `correct` and `accuracy` count pictures whose whole set of classes is right (exact match), `loss` is the mean
    binary cross-entropy over pictures and classes. A set is accepted by the probability of all of it, the product
    over the classes of their being in it or not.

    Args:
        hamming_accuracy: Share of right answers, one for each picture and class.
        macro_f1: Mean of the classes' F1, of those with a picture; None without any.
        micro_f1: F1 of all answers taken together; None where no class is true or predicted.
    """

    counted: ClassVar[str] = "label sets"

    hamming_accuracy: float
    macro_f1: float | None
    micro_f1: float | None

    def summary(self) -> dict[str, Any]:
        """Return all but the single pictures, as plain values."""
        return {
            **super().summary(),
            "exact_match": self.accuracy,
            "hamming_accuracy": self.hamming_accuracy,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
        }
