"""Predictor: the one way from pictures to probabilities with a trained model file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.device import choose_device
from striate.core.errors import DataError
from striate.core.paths import user_path
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.data.loader import normalize
from striate.deploy.blocks import Block, are_files, files_ahead, one_by_one
from striate.deploy.engine.eager import ITSELF, Eager
from striate.deploy.pictures import Picture, picture_name, picture_pixels, several
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import confidence, decide, to_probabilities
from striate.evaluation.unknown import logits_and_scores
from striate.models.batch import comfortable_batch
from striate.runs.model_file import LoadedModel, ModelCard, load_model

if TYPE_CHECKING:
    from striate.deploy.engine.engine import Engine
    from striate.deploy.engine.race import Race


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
        confidence: The probability that `labels` is right as a whole: `probability`, but for multi-label networks, of
            which it is the product over all classes of their being in it or not.
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
    confidence: float
    accepted: bool = True
    unknown: bool = False
    unknown_score: float | None = None


class Predictor:
    """A trained network with everything needed to use it.

    Pictures may be paths, encoded bytes, binary files, PIL images, uint8 arrays (H W, H W 1, H W 3 or H W 4)
    or uint8 tensors (H W, 1 H W, 3 H W or 4 H W), in any mixture; each goes through the decoder and
    normalisation that training and evaluation used. Several threads may use it at once.

    Args:
        loaded: Network and card of a model file.
        device: Where to compute.
        race: What computes, and why; by default the network itself.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device, race: Race | None = None) -> None:
        self.loaded = loaded
        self.race = race
        self.model = loaded.model
        self.card: ModelCard = loaded.card
        self.detector = loaded.detector
        self.calibration = loaded.card.calibration or Calibration()
        self.device = device
        self.engine: Engine = Eager(ITSELF, loaded.model, loaded.layer) if race is None else race.engine

    def with_engine(self, name: str = "auto") -> Predictor:
        """Return a predictor of the same network by another engine (deploy/engine).

        Args:
            name: 'torch', 'folded', 'bf16', 'onnx', or 'auto': the fastest on this machine of those that give the
                network's own answers. The first time that takes a race of some seconds.

        Raises:
            SettingsError: There is no such engine, or it cannot run this network here.
        """
        from striate.deploy.engine.race import choose_engine

        return Predictor(self.loaded, self.device, choose_engine(self.loaded, name))

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
        channels, height, width = self.spec.input_shape
        pixels = [self.pixels(one, picture_name(one, number)) for number, one in enumerate(several(pictures))]
        return self._normalized(np.stack(pixels) if pixels else np.empty((0, height, width, channels), np.uint8))

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return probabilities, float32 N K on the CPU, of inputs N C H W, averaged over `spec.views`.

        They are calibrated where the network is.

        Raises:
            SettingsError: The network was put into training mode.
        """
        logits, _ = self._logits_and_scores(inputs)
        return to_probabilities(self.calibration.apply(logits), self.spec.multi_label)

    def _logits_and_scores(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits and how unlike the training pictures each input is, on the CPU."""
        logits, scores = logits_and_scores(self.engine, inputs, self.spec, self.detector)
        return logits, None if scores is None else scores.cpu()

    def predict_pixels(self, pixels: Pixels, names: Sequence[str] | None = None) -> list[Prediction]:
        """Return one prediction per picture of pixels that are as the network wants them (`pixels`).

        Args:
            pixels: uint8, N H W C, of the size that the network sees.
            names: What to call them; 'picture 0' and so on by default.

        Raises:
            DataError: Other pixels, or another number of names.
        """
        channels, height, width = self.spec.input_shape
        shape, wanted = getattr(pixels, "shape", ()), (height, width, channels)
        if getattr(pixels, "dtype", None) != np.uint8 or len(shape) != 4 or shape[1:] != wanted:
            raise DataError(
                f"pixels must be uint8, N × {height} × {width} × {channels}",
                where=f"{getattr(pixels, 'dtype', type(pixels).__name__)} {tuple(shape)}",
                fix="give what predictor.pixels(picture) returns, stacked; or pictures to predictor.predict",
            )
        if names is None:
            names = [f"picture {number}" for number in range(len(pixels))]
        if len(names) != len(pixels):
            raise DataError(f"{len(names):,} names for {len(pixels):,} pictures", fix="give a name to each picture")
        return self._predictions(names, self._normalized(pixels)) if len(pixels) else []

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
        """Yield, in order, each picture's prediction, or the error that says why there is none.

        Of a list of paths the next are decoded, on all cores, while the last are computed.
        """
        size = comfortable_batch(self.model, self.spec)
        if are_files(pictures):
            blocks = files_ahead(pictures, self.spec, self.pixels, size)
        else:
            blocks = one_by_one(several(pictures), self.spec, self.pixels, size)
        for block in blocks:
            predictions = self._in_batches(block, size)
            for place in range(len(block.names)):
                yield block.errors[place] if place in block.errors else next(predictions)

    def _in_batches(self, block: Block, size: int) -> Iterator[Prediction]:
        names = block.usable
        for start in range(0, len(names), size):
            images = torch.from_numpy(block.images[start : start + size])
            yield from self._predictions(names[start : start + size], normalize(images.to(self.device), self.spec))

    def _normalized(self, pixels: Pixels) -> Tensor:
        """Return the network's inputs of pixels, uint8 N H W C."""
        return normalize(
            torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2).to(self.device), self.spec
        )

    @torch.inference_mode()
    def _predictions(self, names: Sequence[str], inputs: Tensor) -> list[Prediction]:
        logits, scores = self._logits_and_scores(inputs)
        rule, multi_label = self.calibration, self.spec.multi_label
        probabilities, answers = to_probabilities(rule.apply(logits), multi_label), decide(logits, multi_label)
        sure = confidence(probabilities, answers)
        accepted = rule.accepts(sure).tolist()
        certain = sure.tolist()
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
                confidence=certain[number],
                accepted=accepted[number],
                unknown=unlike is not None and unlike[number][0],
                unknown_score=None if unlike is None else unlike[number][1],
            )
            for number, (name, label, row) in enumerate(zip(names, best.tolist(), probabilities.tolist(), strict=True))
        ]


def load(path: str | os.PathLike[str], device: str | torch.device = "auto", engine: str = "torch") -> Predictor:
    """Return the Predictor of a run folder or a model file.

    Args:
        path: The run folder or the file.
        device: Where to compute.
        engine: What computes (`Predictor.with_engine`): the network itself, or for many pictures 'auto'.

    Raises:
        SettingsError: `path` is no path, the device is not on this machine, or the engine cannot be used.
        ModelFileError: Nothing there, unfinished, damaged, unsafe or of a newer version.
    """
    file = user_path(path, "a run folder or a model file")
    chosen = choose_device(str(device))
    predictor = Predictor(load_model(file, chosen), chosen)
    return predictor if engine == predictor.engine.name else predictor.with_engine(engine)
