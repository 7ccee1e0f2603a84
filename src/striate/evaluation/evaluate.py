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
from striate.data.loader import in_order
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import decide, is_right, to_probabilities
from striate.evaluation.macro import balanced_loss
from striate.evaluation.metrics import class_scores, confusion_matrix, top_k_accuracy, wilson_interval
from striate.evaluation.multi_label import label_scores, macro_f1, micro_f1
from striate.evaluation.result import Evaluation, MultiLabelEvaluation, SingleLabelEvaluation
from striate.evaluation.unknown import Detector, forward_of, logits_and_scores
from striate.models.batch import comfortable_batch
from striate.models.contract import Classifier, evaluating

TOP_K = 5


def evaluate(
    model: Classifier,
    data: ImageDataset,
    spec: ImageSpec,
    part: str = "test",
    bf16: bool = False,
    batch_size: int | None = None,
    calibration: Calibration | None = None,
    detector: Detector | None = None,
) -> Evaluation:
    """Return the network's evaluation on `data`, in fp32 and evaluation mode unless told otherwise.

    The network's mode is restored afterwards. Batches are processed where its weights are.

    Args:
        calibration: What the model's card says of its certainty; without one, probabilities are the network's own.
        detector: On the device of the weights; with one, each picture's score is measured.
    """
    device = next(model.parameters()).device
    forward = forward_of(model, detector.layer if detector else None)
    logits, scores = [], []
    with evaluating(model), torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for images in in_order(data, spec, batch_size or comfortable_batch(model, spec), device):
            some, theirs = logits_and_scores(forward, images, spec, detector)
            logits.append(some.cpu())
            scores += [] if theirs is None else [theirs.cpu()]
    return from_logits(
        torch.cat(logits),
        data.labels,
        data.classes,
        part,
        calibration,
        held_out=calibration is None or not is_fitted_to(calibration, data),
        scores=torch.cat(scores) if scores else None,
    )


def is_fitted_to(calibration: Calibration, data: ImageDataset) -> bool:
    """Return whether these are the very pictures that a calibration was fitted to."""
    return calibration.count == len(data) and calibration.fingerprint == data.fingerprint()


def from_logits(
    logits: Tensor,
    labels: Tensor,
    classes: tuple[str, ...],
    part: str,
    calibration: Calibration | None = None,
    held_out: bool = True,
    scores: Tensor | None = None,
) -> Evaluation:
    """Return the evaluation of logits (float32, N K) against labels (int64 N, or bool N K).

    Args:
        calibration: How logits become probabilities; by default as they are.
        held_out: Whether it was fitted to other pictures.
        scores: float32, N; how unlike the training pictures each picture is.
    """
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
        "probabilities": to_probabilities(calibration.apply(logits) if calibration else logits, multi_label),
        "labels": labels,
        "logits": logits,
        "calibration": calibration,
        "held_out": held_out,
        "scores": scores,
    }
    if multi_label:
        per_class = label_scores(logits, predictions, labels, classes)
        return MultiLabelEvaluation(
            **common,
            loss=float(F.binary_cross_entropy_with_logits(logits, labels.float())),
            per_class=per_class,
            hamming_accuracy=float((predictions == labels).double().mean()),
            macro_f1=macro_f1(per_class),
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
    """Return the columns of predictions.csv.

    `prediction` is the network's answer, accepted or not; `accepted` says yes or no; `unknown` says whether the
    picture looks unlike the training pictures, and nothing where that is not told; `p(…)` are the probabilities that
    predicting gives, calibrated where the network is; `pixels` is a hash of what the network saw.
    """
    own = ["path", "part", "index", "label", "prediction", "accepted", "unknown"]
    return [*own, *(f"p({name})" for name in classes), "pixels"]


def prediction_rows(evaluation: Evaluation, data: ImageDataset) -> Iterator[list[object]]:
    """Yield one row per picture, under the columns of `prediction_header`."""
    said = (label_texts(labels, data.classes) for labels in (data.labels, evaluation.predictions))
    unknown = [""] * len(data) if evaluation.unknown is None else _yes_or_no(evaluation.unknown)
    flags = (_yes_or_no(evaluation.accepted), unknown)
    hashes = (f"{number % 2**64:016x}" for number in picture_hashes(data.images).tolist())
    columns = zip(data.names, *said, *flags, evaluation.probabilities.tolist(), hashes, strict=True)
    for index, (name, label, prediction, accepted, unlike, row, pixels) in enumerate(columns):
        values = (f"{p:.6f}" for p in row)
        yield [name, evaluation.part, index, label, prediction, accepted, unlike, *values, pixels]


def _yes_or_no(flags: Tensor) -> list[str]:
    return ["yes" if flag else "no" for flag in flags.tolist()]
