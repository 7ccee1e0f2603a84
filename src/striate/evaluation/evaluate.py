"""evaluate(): a network's probabilities on a part of the data, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, label_texts
from striate.data.duplicates import picture_hashes
from striate.data.loader import comfortable_batch, in_order
from striate.evaluation.decision import decide, is_right, to_probabilities
from striate.evaluation.macro import balanced_loss
from striate.evaluation.metrics import class_scores, confusion_matrix, top_k_accuracy, wilson_interval
from striate.evaluation.multi_label import label_scores, macro_f1, micro_f1
from striate.evaluation.result import Evaluation, MultiLabelEvaluation, SingleLabelEvaluation
from striate.evaluation.views import view_logits
from striate.models.contract import Classifier, evaluating

TOP_K = 5


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
            view_logits(model, images, spec).cpu()
            for images in in_order(data, spec, batch_size or comfortable_batch(spec), device)
        ]
    return from_logits(torch.cat(batches), data.labels, data.classes, part)


def from_logits(logits: Tensor, labels: Tensor, classes: tuple[str, ...], part: str) -> Evaluation:
    """Return the evaluation of logits (float32, N K) against labels (int64 N, or bool N K)."""
    multi_label = labels.ndim == 2
    predictions = decide(logits, multi_label)
    correct = int(is_right(predictions, labels).sum())
    common: dict[str, Any] = {
        "part": part,
        "count": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "interval": wilson_interval(correct, len(labels)),
        "predictions": predictions,
        "probabilities": to_probabilities(logits, multi_label),
        "labels": labels,
    }
    if multi_label:
        scores = label_scores(logits, predictions, labels, classes)
        return MultiLabelEvaluation(
            **common,
            loss=float(F.binary_cross_entropy_with_logits(logits, labels.float())),
            per_class=scores,
            hamming_accuracy=float((predictions == labels).double().mean()),
            macro_f1=macro_f1(scores),
            micro_f1=micro_f1(predictions, labels),
        )
    confusion = confusion_matrix(labels, predictions, len(classes))
    return SingleLabelEvaluation(
        **common,
        loss=float(F.cross_entropy(logits, labels)),
        per_class=class_scores(confusion, classes),
        top_k={k: top_k_accuracy(logits, labels, k) for k in sorted({1, min(TOP_K, len(classes))})},
        confusion=confusion,
        balanced_loss=balanced_loss(logits, labels),
    )


def prediction_header(classes: tuple[str, ...]) -> list[str]:
    """Return the columns of predictions.csv."""
    return ["path", "part", "index", "label", "prediction", *(f"p({name})" for name in classes), "pixels"]


def prediction_rows(evaluation: Evaluation, data: ImageDataset) -> Iterator[list[object]]:
    """Yield one row per picture: name, part, number, true class or classes, predicted ones, probabilities, hash."""
    said = (label_texts(labels, data.classes) for labels in (data.labels, evaluation.predictions))
    hashes = (f"{number % 2**64:016x}" for number in picture_hashes(data.images).tolist())
    columns = zip(data.names, *said, evaluation.probabilities.tolist(), hashes, strict=True)
    for index, (name, label, prediction, row, pixels) in enumerate(columns):
        yield [name, evaluation.part, index, label, prediction, *(f"{p:.6f}" for p in row), pixels]
