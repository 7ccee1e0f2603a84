"""How stable answers are: what a network says of pictures that were changed a little, beside what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.loader import normalize
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import confidence, decide, is_right, to_probabilities
from striate.evaluation.metrics import wilson_interval
from striate.evaluation.views import view_logits
from striate.explain.changes import Change, by_distance
from striate.models import Classifier
from striate.models.batch import comfortable_batch
from striate.models.contract import evaluating


@dataclass(frozen=True, eq=False)
class Curves:
    """What becomes of the answers to pictures under one change; S strengths, N pictures.

    Args:
        change: The change.
        answers: int64 S N, or bool S N K; what is answered.
        probability: float32, S N; of the answer that the unchanged picture gets.
        confidence: float32, S N; of what is answered.
        kept: Whether it is the same answer, bool S N.
    """

    change: Change
    answers: Tensor
    probability: Tensor
    confidence: Tensor
    kept: Tensor

    @property
    def kept_share(self) -> Tensor:
        """Share of pictures that keep their answer, float64 S."""
        return self.kept.double().mean(1)

    @property
    def kept_interval(self) -> list[tuple[float, float]]:
        """Its 95 % interval (Wilson) at each strength."""
        return [wilson_interval(int(row.sum()), len(row)) for row in self.kept]

    def right(self, labels: Tensor) -> Tensor:
        """Return which answers are right, bool S N.

        Args:
            labels: int64 N, or bool N K.
        """
        return torch.stack([is_right(answers, labels) for answers in self.answers])

    def first_turned(self, picture: int) -> int | None:
        """Return the place of the mildest strength that turns a picture's answer; None where none does."""
        return next((place for place in by_distance(self.change) if not self.kept[place, picture]), None)


def answer_curves(
    model: Classifier,
    images: Tensor,
    spec: ImageSpec,
    changes: Sequence[Change],
    *,
    calibration: Calibration | None = None,
    numbers: Tensor | None = None,
) -> list[Curves]:
    """Return how the answers to pictures change with them, a set of curves per change.

    Answers are those of measuring: by all views, calibrated. Each picture's are its own, whatever batch it is in.

    Args:
        model: On its device; it is left as it is.
        images: uint8, N C H W, as the spec has them before they are cropped, or cropped already.
        spec: How they become inputs.
        changes: What is done to them.
        calibration: How logits become probabilities; by default as they are.
        numbers: int64, N; what the pictures' noise is drawn from, 0 … N − 1 by default.
    """
    numbers = torch.arange(len(images)) if numbers is None else numbers
    size = comfortable_batch(model, spec)
    parts: list[list[Tensor]] = [[] for _ in changes]  # of each change S n K, for some pictures after others
    with evaluating(model), torch.inference_mode():
        for some, own in zip(images.split(size), numbers.split(size), strict=True):
            unchanged = _logits(model, some, spec)
            for part, change in zip(parts, changes, strict=True):
                asked = [
                    unchanged if strength == change.neutral else _logits(model, change.apply(some, strength, own), spec)
                    for strength in change.strengths
                ]
                part.append(torch.stack(asked))
    return [
        _curves(change, torch.cat(part, 1), spec.multi_label, calibration)
        for change, part in zip(changes, parts, strict=True)
    ]


def _logits(model: Classifier, images: Tensor, spec: ImageSpec) -> Tensor:
    """Return logits, N K, of pictures on 0 … 255."""
    if tuple(images.shape[1:]) == spec.picture_shape:
        images = images[:, :, *spec.centre]
    device = next(model.parameters()).device
    return view_logits(model, normalize(images.to(device), spec), spec).cpu()


def _curves(change: Change, logits: Tensor, multi_label: bool, calibration: Calibration | None) -> Curves:
    """Return the curves of logits, S N K."""
    probabilities = [to_probabilities(calibration.apply(row) if calibration else row, multi_label) for row in logits]
    answers = torch.stack([decide(row, multi_label) for row in logits])
    own = answers[change.strengths.index(change.neutral)]
    return Curves(
        change,
        answers,
        torch.stack([confidence(row, own) for row in probabilities]),
        torch.stack([confidence(row, said) for row, said in zip(probabilities, answers, strict=True)]),
        torch.stack([is_right(said, own) for said in answers]),
    )


def kept_shares(curves: Sequence[Curves]) -> Tensor:
    """Return the share of changed versions that keep each picture's answer, float64 N; every change counts alike."""
    shares = []
    for one in curves:
        others = list(by_distance(one.change))
        shares.append(one.kept[others].double().mean(0))
    return torch.stack(shares).mean(0)
