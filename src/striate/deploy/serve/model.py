"""The network that is being served, as one thing that can be exchanged for another at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from striate.data.decoder_process import spec_bytes
from striate.deploy.predictor import Prediction, Predictor, load


class Served:
    """A predictor, and what requests need to know of it.

    Args:
        predictor: Loaded, with its engine chosen.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.name = predictor.card.weights_sha256[:12]
        self.spec = spec_bytes(predictor.spec)
        channels, height, width = predictor.spec.input_shape
        self.shape = (height, width, channels)
        self.size = height * width * channels  # bytes of one picture's pixels

    def predict(self, pixels: Sequence[bytes], names: Sequence[str]) -> list[Prediction]:
        """Return predictions of pictures that are decoded, each uint8 H W C."""
        stacked = np.frombuffer(bytearray().join(pixels), np.uint8).reshape(len(names), *self.shape)
        return self.predictor.predict_pixels(stacked, names)


def load_served(path: Path, device: str, engine: str) -> Served:
    """Return the network of a run folder or a model file; SettingsError, ModelFileError."""
    return Served(load(path, device, engine))
