"""The network that is being served, as one thing that can be exchanged for another at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from striate.data.decoder_process import spec_bytes
from striate.deploy.predictor import Prediction, Predictor, load
from striate.models.summary import summarize

LIGHT = 5e7  # multiply-adds per picture below which a network is light: a few milliseconds of one thread


class Served:
    """A predictor, and what requests need to know of it.

    Args:
        predictor: Loaded, with its engine chosen.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        # a processor computes many pictures of a heavy network no faster than a few, and all of them late
        self.batch_size = 8 if predictor.device.type == "cpu" and not is_light(predictor) else 32
        self.name = predictor.card.weights_sha256[:12]
        self.spec = spec_bytes(predictor.spec)
        channels, height, width = predictor.spec.input_shape
        self.shape = (height, width, channels)
        self.size = height * width * channels  # bytes of one picture's pixels

    def predict(self, pixels: Sequence[bytes], names: Sequence[str]) -> list[Prediction]:
        """Return predictions of pictures that are decoded, each uint8 H W C."""
        stacked = np.frombuffer(bytearray().join(pixels), np.uint8).reshape(len(names), *self.shape)
        return self.predictor.predict_pixels(stacked, names)


def is_light(predictor: Predictor) -> bool:
    """Return whether talking of a picture costs more than computing it."""
    rows = summarize(predictor.model, predictor.spec.input_shape)
    return sum(row.multiply_adds for row in rows) < LIGHT


def load_served(path: Path, device: str, engine: str, threads: int) -> Served:
    """Return the network of a run folder or a model file, with its engine and the threads that it needs.

    A light network is computed by one thread: several would spend more time on each other than on pictures, and take
    it from decoding.

    Args:
        path: The run folder or the file.
        device, engine: As in `load`.
        threads: That a network may be computed by.

    Raises:
        SettingsError: No such device or engine here.
        ModelFileError: The file cannot be used.
    """
    torch.set_num_threads(threads)
    predictor = load(path, device, engine)
    if threads > 1 and predictor.device.type == "cpu" and is_light(predictor):
        torch.set_num_threads(1)
        predictor = predictor.with_engine(predictor.engine.name)
    return Served(predictor)
