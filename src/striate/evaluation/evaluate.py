"""evaluate(): a network's probabilities on a part of the data, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.loader import comfortable_batch, in_order
from striate.evaluation.metrics import (
    ClassScore,
    class_scores,
    confusion_matrix,
    top_k_accuracy,
    wilson_interval,
)
from striate.models.contract import Classifier, evaluating

TOP_K = 5


@dataclass(frozen=True)
class Evaluation:
    """What a network does on one part of the data.

    Args:
        part: 'train', 'val' or 'test'.
        count, correct: Pictures, and those classified rightly.
        accuracy: correct / count.
        interval: Its 95 % interval (Wilson).
        loss: Mean cross-entropy.
        top_k: {k: share of pictures whose class is among the k most probable}, k = 1 and min(5, classes).
        per_class: Each class's scores.
        confusion: Counts, int64 K K; row = true class, column = predicted class.
        predictions: int64, N; the class of the largest logit, the first of equals.
        probabilities: float32, N K.
        labels: int64, N.
    """

    part: str
    count: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    top_k: dict[int, float]
    per_class: list[ClassScore]
    confusion: Tensor
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
            "top_k": {str(k): share for k, share in self.top_k.items()},
            "per_class": [asdict(score) for score in self.per_class],
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    model: Classifier,
    data: ImageDataset,
    spec: ImageSpec,
    part: str = "test",
    bf16: bool = False,
    batch_size: int | None = None,
) -> Evaluation:
    """Return the network's evaluation on `data`, in fp32 and evaluation mode unless told otherwise.

    The network's mode is restored afterwards. Batches are processed where its weights are.
    """
    device = next(model.parameters()).device
    with evaluating(model), torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        batches = [
            model(images).float().cpu()
            for images in in_order(data, spec, batch_size or comfortable_batch(spec), device)
        ]
    return from_logits(torch.cat(batches), data.labels, data.classes, part)


def from_logits(logits: Tensor, labels: Tensor, classes: tuple[str, ...], part: str) -> Evaluation:
    """Return the evaluation of logits (float32, N K) against labels (int64, N)."""
    predictions = logits.argmax(1)
    correct = int((predictions == labels).sum())
    confusion = confusion_matrix(labels, predictions, len(classes))
    return Evaluation(
        part=part,
        count=len(labels),
        correct=correct,
        accuracy=correct / len(labels),
        interval=wilson_interval(correct, len(labels)),
        loss=float(F.cross_entropy(logits, labels)),
        top_k={k: top_k_accuracy(logits, labels, k) for k in sorted({1, min(TOP_K, len(classes))})},
        per_class=class_scores(confusion, classes),
        confusion=confusion,
        predictions=predictions,
        probabilities=logits.softmax(1),
        labels=labels,
    )


def prediction_header(classes: tuple[str, ...]) -> list[str]:
    """Return the columns of predictions.csv."""
    return ["path", "part", "index", "label", "prediction", *(f"p({name})" for name in classes)]


def prediction_rows(evaluation: Evaluation, data: ImageDataset) -> Iterator[list[object]]:
    """Yield one row per picture: name, part, number, true class, predicted class, probabilities."""
    columns = (evaluation.probabilities.tolist(), evaluation.predictions.tolist(), data.labels.tolist())
    for index, (row, prediction, label) in enumerate(zip(*columns, strict=True)):
        yield [
            data.names[index],
            evaluation.part,
            index,
            data.classes[label],
            data.classes[prediction],
            *(f"{p:.6f}" for p in row),
        ]
