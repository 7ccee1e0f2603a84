"""Evaluation: what was measured of a network on one part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from striate.evaluation.macro import Macro, balanced_accuracy, macro_f1
from striate.evaluation.metrics import IMBALANCED, ClassScore


@dataclass(frozen=True)
class Evaluation:
    """What a network does on one part of the data.

    Args:
        part: 'train', 'val' or 'test'.
        count, correct: Pictures, and those classified rightly.
        accuracy: correct / count.
        interval: Its 95 % interval (Wilson).
        loss: Mean cross-entropy.
        per_class: Each class's scores.
        predictions: int64, N; the class of the largest logit, the first of equals. Or bool, N K; each picture's
            classes.
        probabilities: float32, N K.
        labels: int64 N, or bool N K.
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

    def summary(self) -> dict[str, Any]:
        """Return all but the single pictures, as plain values."""
        return {
            "part": self.part,
            "count": self.count,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval_95": list(self.interval),
            "loss": self.loss,
            "per_class": [asdict(score) for score in self.per_class],
        }


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
    binary cross-entropy over pictures and classes.

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
