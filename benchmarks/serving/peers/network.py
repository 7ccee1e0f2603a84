"""What the peers serve: the run's weights as a plain torch module, with Pillow and torch before and after it.

It does what Striate does for a picture: the same resizing, normalisation, views and temperature, so that all come to
the same probabilities. What Striate answers besides (whether a picture is unlike all that was trained on) is left out.
Favourable to the peers: `ImageOps.fit` resizes once to what the network sees, where torchvision's Resize and
CenterCrop resize more and then cut, and pixels become a tensor without a copy.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from striate.deploy.predictor import load


class Network:
    """A trained network with its pre-processing.

    Args:
        run: Run folder or model file.
        threads: Of torch in this process.
    """

    def __init__(self, run: str | Path, threads: int) -> None:
        torch.set_num_threads(threads)
        predictor = load(run, "cpu")
        self.model, spec = predictor.model.eval(), predictor.spec
        assert spec.resize == "crop"
        assert spec.crop is None
        assert not spec.whiten
        assert spec.views in (1, 2)
        assert spec.views_below == 1
        self.size, self.mode = (spec.width, spec.height), "L" if spec.channels == 1 else "RGB"
        self.resampling = Image.Resampling[spec.interpolation.upper()]
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
        self.mirrored, self.temperature = spec.views == 2, predictor.calibration.temperature
        self.classes = spec.classes

    def prepare(self, data: bytes) -> Tensor:
        """Return the network's input for an encoded picture, float32 C H W."""
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(self.mode)
        if picture.size != self.size:
            picture = ImageOps.fit(picture, self.size, self.resampling)
        pixels = torch.from_numpy(np.array(picture)).reshape(self.size[1], self.size[0], -1)  # H W C
        return (pixels.permute(2, 0, 1).float() / 255 - self.mean) / self.std

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Return probabilities, float32 N K, of inputs N C H W."""
        logits: Tensor = self.model(images)
        if self.mirrored:
            logits = (logits + self.model(images.flip(3))) / 2
        return (logits / self.temperature).softmax(1)

    def answer(self, probabilities: Tensor) -> dict[str, Any]:
        """Return the JSON of one picture's probabilities, float32 K."""
        values = probabilities.tolist()
        best = max(range(len(values)), key=values.__getitem__)
        return {"label": self.classes[best], "probabilities": dict(zip(self.classes, values, strict=True))}
