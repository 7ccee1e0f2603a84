"""Predictor: the one way from pictures to probabilities with a trained model file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from striate.core.device import choose_device
from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels, decode, picture_to_spec
from striate.data.loader import comfortable_batch, normalize
from striate.runs.model_file import LoadedModel, ModelCard, load_model

Picture = Path | str | bytes | Image.Image | NDArray[Any] | Tensor


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

    Args:
        name: The picture's path, or its number among those given.
        label: The most probable class.
        probability: Its probability.
        probabilities: {class: probability}, in the network's class order.
    """

    name: str
    label: str
    probability: float
    probabilities: dict[str, float]


class Predictor:
    """A trained network with everything needed to use it.

    Pictures may be paths, encoded bytes, PIL images, uint8 arrays (H W, H W 1, H W 3 or H W 4) or uint8
    tensors (C H W), in any mixture; each goes through the decoder and normalisation that training and
    evaluation used.

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

    def pixels(self, picture: Picture, where: object = None) -> Pixels:
        """Return one picture's pixels as the network wants them, uint8 H W C.

        Raises:
            DataError: Not readable, damaged, or of a type or range that is not a picture.
        """
        if isinstance(picture, str | Path):
            return decode(Path(picture), self.spec, where)
        if isinstance(picture, bytes):
            return decode(picture, self.spec, where or "bytes")
        if isinstance(picture, Image.Image):
            return picture_to_spec(ImageOps.exif_transpose(picture), self.spec, where or "PIL image")
        if isinstance(picture, Tensor):
            array = picture.detach().cpu().numpy()
            array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
            return self._array_pixels(array, where or "tensor")
        if isinstance(picture, np.ndarray):
            return self._array_pixels(picture, where or "array")
        raise DataError(
            f"a {type(picture).__name__} is not a picture",
            where=where,
            fix="give a path, bytes, PIL image, array or tensor",
        )

    def _array_pixels(self, array: NDArray[Any], where: object) -> Pixels:
        if array.dtype != np.uint8:
            raise DataError(
                f"pixels of type {array.dtype}, range {array.min() if array.size else 0:g} … "
                f"{array.max() if array.size else 0:g}: the network normalises by itself and needs raw uint8, 0 … 255",
                where=where,
                fix="multiply by 255 if the range is 0 … 1, then .astype('uint8'); undo any normalisation first",
            )
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
            raise DataError(
                f"shape {array.shape} is not a picture",
                where=where,
                fix="give H W, H W 3 or H W 4 arrays, or 1 H W, 3 H W or 4 H W tensors; a batch as a list",
            )
        return picture_to_spec(Image.fromarray(np.ascontiguousarray(array)), self.spec, where)

    def inputs(self, pictures: Sequence[Picture]) -> Tensor:
        """Return the network's inputs for pictures, float32 N C H W on the device: exactly evaluation's."""
        return self._normalized([self.pixels(picture) for picture in pictures])

    @torch.inference_mode()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return probabilities, float32 N K on the CPU, of inputs N C H W, in fp32."""
        logits: Tensor = self.model(inputs)
        return logits.float().softmax(1).cpu()

    def predict(self, pictures: Picture | Iterable[Picture]) -> list[Prediction]:
        """Return one prediction per picture, in order.

        Args:
            pictures: One picture, or several; an N C H W tensor or N H W C array counts as several.

        Raises:
            DataError: A picture cannot be used; the message names it.
        """
        return list(self.stream(_several(pictures)))

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Prediction]:
        """Yield predictions in order, computing in batches, so that any number of pictures can pass."""
        for outcome in self.outcomes(pictures):
            if isinstance(outcome, DataError):
                raise outcome
            yield outcome

    def outcomes(self, pictures: Iterable[Picture]) -> Iterator[Prediction | DataError]:
        """Yield, in order, each picture's prediction, or the error that says why there is none."""
        numbered = enumerate(pictures)
        while batch := list(islice(numbered, comfortable_batch(self.spec))):
            names = [_name(picture, number) for number, picture in batch]
            pixels = [self._try_pixels(picture, name) for (_, picture), name in zip(batch, names, strict=True)]
            usable = [one for one in pixels if not isinstance(one, DataError)]
            rows = iter(self.probabilities(self._normalized(usable)).tolist() if usable else [])
            for name, one in zip(names, pixels, strict=True):
                yield one if isinstance(one, DataError) else self._prediction(name, next(rows))

    def _try_pixels(self, picture: Picture, name: str) -> Pixels | DataError:
        try:
            return self.pixels(picture, name)
        except DataError as error:
            return error

    def _normalized(self, pixels: Sequence[Pixels]) -> Tensor:
        return normalize(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(self.device), self.spec)

    def _prediction(self, name: str, row: list[float]) -> Prediction:
        best = max(range(len(row)), key=row.__getitem__)
        return Prediction(name, self.classes[best], row[best], dict(zip(self.classes, row, strict=True)))


def _name(picture: Picture, number: int) -> str:
    return str(picture) if isinstance(picture, str | Path) else str(number)


def _several(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    if isinstance(pictures, np.ndarray | Tensor):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, str | Path | bytes | Image.Image):
        return [pictures]
    return pictures


def load(path: str | Path, device: str = "auto") -> Predictor:
    """Return the Predictor of a run folder or a model file.

    Raises:
        ModelFileError: Nothing there, unfinished, damaged, unsafe or of a newer version.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        file = file / "model.safetensors"
    chosen = choose_device(device)
    return Predictor(load_model(file, chosen), chosen)
