"""Predictor: the one way from pictures to probabilities with a trained model file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.device import choose_device
from striate.core.errors import DataError, SettingsError
from striate.core.paths import user_path
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.data.loader import normalize
from striate.deploy.pictures import Picture, picture_name, picture_pixels, several
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import confidence, decide, to_probabilities
from striate.evaluation.unknown import logits_and_scores
from striate.models.batch import comfortable_batch
from striate.runs.model_file import LoadedModel, ModelCard, load_model


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

    Args:
        name: The picture's path, or 'picture 3' by its number among those given.
        label: The most probable class.
        probability: Its probability, calibrated where the network is.
        probabilities: {class: probability}, in the network's class order.
        labels: The classes that it is of: the most probable, or, of a multi-label network, those of probability
            0.5 or more, which may be none.
        accepted: Whether the answer is probable enough, of the whole set of classes in a multi-label network; always
            where no threshold was set. Where it is not, the network is better said not to know.
        unknown: Whether the picture looks unlike all that the network was trained on; False where that is not told.
        unknown_score: How unlike, 0 … 2: 1 − the cosine of the angle between its features and the nearest
            training picture's; None where that is not told.
    """

    name: str
    label: str
    probability: float
    probabilities: dict[str, float]
    labels: tuple[str, ...]
    accepted: bool = True
    unknown: bool = False
    unknown_score: float | None = None


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
        self.detector = loaded.detector
        self.calibration = loaded.card.calibration or Calibration()
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

        They are calibrated where the network is.

        Raises:
            SettingsError: The network was put into training mode.
        """
        logits, _ = self._logits_and_scores(inputs)
        return to_probabilities(self.calibration.apply(logits), self.spec.multi_label)

    def _logits_and_scores(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits and how unlike the training pictures each input is, on the CPU."""
        if any(module.training for module in self.model.modules()):
            raise SettingsError(
                "the network is in training mode: dropout would drop, and batch norm normalise by this batch",
                where="predictor.model",
                fix="predictor.model.eval()",
            )
        logits, scores = logits_and_scores(self.model, inputs, self.spec, self.detector)
        return logits.cpu(), None if scores is None else scores.cpu()

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
        while batch := list(islice(numbered, comfortable_batch(self.model, self.spec))):
            names = [picture_name(picture, number) for number, picture in batch]
            pixels = [self._try_pixels(picture, name) for (_, picture), name in zip(batch, names, strict=True)]
            usable = [one for one in pixels if not isinstance(one, DataError)]
            found = (name for name, one in zip(names, pixels, strict=True) if not isinstance(one, DataError))
            predictions = iter(self._predictions(list(found), self._normalized(usable)) if usable else ())
            for one in pixels:
                yield one if isinstance(one, DataError) else next(predictions)

    def _try_pixels(self, picture: Picture, name: str) -> Pixels | DataError:
        try:
            return self.pixels(picture, name)
        except DataError as error:
            return error

    def _normalized(self, pixels: Sequence[Pixels]) -> Tensor:
        channels, height, width = self.spec.input_shape
        stacked = np.stack(pixels) if pixels else np.empty((0, height, width, channels), np.uint8)
        return normalize(torch.from_numpy(stacked).permute(0, 3, 1, 2).to(self.device), self.spec)

    @torch.inference_mode()
    def _predictions(self, names: Sequence[str], inputs: Tensor) -> list[Prediction]:
        logits, scores = self._logits_and_scores(inputs)
        rule, multi_label = self.calibration, self.spec.multi_label
        probabilities, answers = to_probabilities(rule.apply(logits), multi_label), decide(logits, multi_label)
        accepted = rule.accepts(confidence(probabilities, answers)).tolist()
        best = logits.argmax(1)  # of the logits, as rounded probabilities may be equal
        sets = (answers if multi_label else F.one_hot(best, len(self.classes)) == 1).tolist()
        unlike = None if scores is None else list(zip(rule.is_unknown(scores).tolist(), scores.tolist(), strict=True))
        return [
            Prediction(
                name=name,
                label=self.classes[label],
                probability=row[label],
                probabilities=dict(zip(self.classes, row, strict=True)),
                labels=tuple(compress(self.classes, sets[number])),
                accepted=accepted[number],
                unknown=unlike is not None and unlike[number][0],
                unknown_score=None if unlike is None else unlike[number][1],
            )
            for number, (name, label, row) in enumerate(zip(names, best.tolist(), probabilities.tolist(), strict=True))
        ]


def load(path: str | os.PathLike[str], device: str | torch.device = "auto") -> Predictor:
    """Return the Predictor of a run folder or a model file.

    Raises:
        SettingsError: `path` is no path, or the device is not on this machine.
        ModelFileError: Nothing there, unfinished, damaged, unsafe or of a newer version.
    """
    file = user_path(path, "a run folder or a model file")
    chosen = choose_device(str(device))
    return Predictor(load_model(file, chosen), chosen)
