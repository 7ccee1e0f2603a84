"""The subject: a trained network, and the pictures by which it is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.duplicates import picture_hashes
from striate.data.loader import normalize
from striate.evaluation import Evaluation
from striate.evaluation.decision import confidence, is_right
from striate.models import Classifier
from striate.runs.folder import Run
from striate.runs.model_file import ModelCard


@dataclass(frozen=True)
class Given:
    """Pictures that the user named, uint8 N C H W as the network takes them, without labels."""

    images: Tensor
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained. Nothing that looks at it changes it.

    Args:
        model: The network, in evaluation mode, fp32.
        card: What its file says of it.
        pictures: Labelled pictures that it was measured on, with its class numbers.
        evaluation: What it does on them.
        train: The training part, where it is at hand.
        run: The run folder, where there is one and not a model file alone.
        given: Pictures that the user wants explained.
        layer: The stage or module to look at, where the user named one.
        parts: Train, val and test of the run's own data, with the network's class numbers, where they are at hand.
    """

    model: Classifier
    card: ModelCard
    pictures: ImageDataset
    evaluation: Evaluation
    train: ImageDataset | None = None
    run: Run | None = None
    given: Given | None = None
    layer: str | None = None
    parts: Mapping[str, ImageDataset] = field(default_factory=dict)

    @cached_property
    def trained_on(self) -> int | None:
        """How many of the measured pictures are, pixel for pixel, ones it was trained on; None where nobody knows."""
        if self.run is None:
            return None
        return int(torch.isin(picture_hashes(self.pictures.images), self.run.training_hashes()).sum())

    @property
    def spec(self) -> ImageSpec:
        """How a picture becomes the network's input."""
        return self.card.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the network's order."""
        return self.card.spec.classes

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def inputs(self, images: Tensor) -> Tensor:
        """Return network inputs, float32 N C H W on the network's device, of uint8 pictures N C H W.

        Of pictures that are not cropped yet the network sees the centre.
        """
        if tuple(images.shape[1:]) == self.spec.picture_shape:
            images = images[:, :, *self.spec.centre]
        return normalize(images.to(self.device), self.spec)

    @cached_property
    def confidences(self) -> Tensor:
        """How sure each answer on the measured pictures is, float N."""
        return confidence(self.evaluation.probabilities, self.evaluation.predictions)

    @cached_property
    def right(self) -> Tensor:
        """Which answers on the measured pictures are right, bool N."""
        return is_right(self.evaluation.predictions, self.evaluation.labels)

    def examples(self, count: int) -> Tensor:
        """Return the numbers of measured pictures that are worth a look, int64, `count` of them where there are.

        By turns the most confident mistake, the least certain right answer, and the right answer of middling
        confidence of the next class; no picture twice.
        """
        by_confidence = self.confidences.argsort(descending=True, stable=True)
        wrong = [number for number in by_confidence.tolist() if not self.right[number]]
        unsure = [number for number in by_confidence.flip(0).tolist() if self.right[number]]
        typical = self._typical()
        chosen: list[int] = []
        for turn in range(count):
            for source in (wrong, unsure, typical):
                if turn < len(source) and source[turn] not in chosen:
                    chosen.append(source[turn])
        return torch.tensor(chosen[:count], dtype=torch.int64)

    def _typical(self) -> list[int]:
        """Return, per class that has one, the rightly answered picture of median confidence."""
        found = []
        for label in range(len(self.classes)):
            numbers = self.pictures.of_class(label)
            numbers = numbers[self.right[numbers]]
            if len(numbers):
                order = self.confidences[numbers].argsort(stable=True)
                found.append(int(numbers[order[len(order) // 2]]))
        return found
