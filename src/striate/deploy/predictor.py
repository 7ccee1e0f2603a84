"""Predictor: the one way from pictures to probabilities with a trained model file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from striate.core.device import choose_device
from striate.core.errors import DataError, SettingsError
from striate.core.paths import user_path
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.data.loader import comfortable_batch, normalize
from striate.deploy.pictures import Picture, picture_name, picture_pixels, several
from striate.evaluation.decision import THRESHOLD, to_probabilities
from striate.evaluation.views import view_logits
from striate.runs.model_file import LoadedModel, ModelCard, load_model


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

    Args:
        name: The picture's path, or 'picture 3' by its number among those given.
        label: The most probable class.
        probability: Its probability.
        probabilities: {class: probability}, in the network's class order.
        labels: The classes that it is of: the most probable, or, of a multi-label network, those of probability
            0.5 or more, which may be none.
    """

    name: str
    label: str
    probability: float
    probabilities: dict[str, float]
    labels: tuple[str, ...]


class Predictor:
    """A trained network with everything needed to use it.

    Pictures may be paths, encoded bytes, binary files, PIL images, uint8 arrays (H W, H W 1, H W 3 or H W 4)
    or uint8 tensors (H W, 1 H W, 3 H W or 4 H W), in any mixture; each goes through the decoder and
    normalisation that training and evaluation used.

    Args:
        loaded: Network and card of a model file.
        device: Where to compute.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device) -> None:
        self.model = loaded.model
        self.card: ModelCard = loaded.card
        self.device = device

    @property
    def spec(self) -> ImageSpec:
        """How a picture becomes the network's input."""
        return self.card.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the network's order."""
        return self.card.spec.classes

    def pixels(self, picture: Picture, where: str = "picture") -> Pixels:
        """Return one picture's pixels as the network wants them, uint8 H W C.

        Raises:
            DataError: Not readable, damaged, or of a type, shape or range that is not a picture.
        """
        return picture_pixels(picture, self.spec, where)

    def inputs(self, pictures: Picture | Iterable[Picture]) -> Tensor:
        """Return the network's inputs for pictures as `predict` takes them, float32 N C H W on the device.

        They are exactly evaluation's.

        Raises:
            DataError: A picture cannot be used; the message names it.
        """
        numbered = enumerate(several(pictures))
        return self._normalized([self.pixels(picture, picture_name(picture, number)) for number, picture in numbered])

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return probabilities, float32 N K on the CPU, of inputs N C H W, in fp32, averaged over `spec.views`.

        Raises:
            SettingsError: The network was put into training mode.
        """
        if any(module.training for module in self.model.modules()):
            raise SettingsError(
                "the network is in training mode: dropout would drop, and batch norm normalise by this batch",
                where="predictor.model",
                fix="predictor.model.eval()",
            )
        return to_probabilities(view_logits(self.model, inputs, self.spec), self.spec.multi_label).cpu()

    def predict(self, pictures: Picture | Iterable[Picture]) -> list[Prediction]:
        """Return one prediction per picture, in order.

        Args:
            pictures: One picture, or several; an N C H W tensor or N H W C array counts as several.

        Raises:
            DataError: A picture cannot be used; the message names it.
        """
        return list(self.stream(pictures))

    def stream(self, pictures: Picture | Iterable[Picture]) -> Iterator[Prediction]:
        """Yield predictions in order, computing in batches, so that any number of pictures can pass."""
        for outcome in self.outcomes(pictures):
            if isinstance(outcome, DataError):
                raise outcome
            yield outcome

    def outcomes(self, pictures: Picture | Iterable[Picture]) -> Iterator[Prediction | DataError]:
        """Yield, in order, each picture's prediction, or the error that says why there is none."""
        numbered = enumerate(several(pictures))
        while batch := list(islice(numbered, comfortable_batch(self.spec))):
            names = [picture_name(picture, number) for number, picture in batch]
            pixels = [self._try_pixels(picture, name) for (_, picture), name in zip(batch, names, strict=True)]
            usable = [one for one in pixels if not isinstance(one, DataError)]
            rows = iter(self.probabilities(self._normalized(usable)).tolist() if usable else ())
            for name, one in zip(names, pixels, strict=True):
                yield one if isinstance(one, DataError) else self._prediction(name, next(rows))

    def _try_pixels(self, picture: Picture, name: str) -> Pixels | DataError:
        try:
            return self.pixels(picture, name)
        except DataError as error:
            return error

    def _normalized(self, pixels: Sequence[Pixels]) -> Tensor:
        channels, height, width = self.spec.input_shape
        stacked = np.stack(pixels) if pixels else np.empty((0, height, width, channels), np.uint8)
        return normalize(torch.from_numpy(stacked).permute(0, 3, 1, 2).to(self.device), self.spec)

    def _prediction(self, name: str, row: list[float]) -> Prediction:
        best = max(range(len(row)), key=row.__getitem__)
        probabilities = dict(zip(self.classes, row, strict=True))
        labels = [self.classes[best]]
        if self.spec.multi_label:
            labels = [label for label, probability in probabilities.items() if probability >= THRESHOLD]
        return Prediction(name, self.classes[best], row[best], probabilities, tuple(labels))


def load(path: str | os.PathLike[str], device: str | torch.device = "auto") -> Predictor:
    """Return the Predictor of a run folder or a model file.

    Raises:
        SettingsError: `path` is no path, or the device is not on this machine.
        ModelFileError: Nothing there, unfinished, damaged, unsafe or of a newer version.
    """
    file = user_path(path, "a run folder or a model file")
    chosen = choose_device(str(device))
    return Predictor(load_model(file, chosen), chosen)
