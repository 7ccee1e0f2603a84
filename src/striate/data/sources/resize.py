"""Named data sets at another size or number of channels, by the rules that files go through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from striate.core.memory import require_memory
from striate.core.settings import DataSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.decode import fit, to_pixels


def bring_to_size(splits: Splits, settings: DataSettings) -> Splits:
    """Return the splits with pictures of the size and channels that the settings ask for, if they ask."""
    channels, height, _ = splits.train.input_shape
    wanted = settings.channels or channels, settings.img_size or height
    if wanted == (channels, height):
        return splits
    pixels = wanted[0] * wanted[1] ** 2
    require_memory(
        2 * sum(len(part) for part in splits.parts().values()) * pixels,  # twice for a moment
        f"the pictures of {splits.name} at {wanted[1]} × {wanted[1]}",
        where=splits.name,
        fix="use a smaller --img-size",
    )
    parts = {name: _resized(part, *wanted, settings) for name, part in splits.parts().items()}
    return replace(splits, train=parts["train"], val=parts.get("val"), test=parts.get("test"))


def _resized(part: ImageDataset, channels: int, side: int, settings: DataSettings) -> ImageDataset:
    resized = np.empty((len(part), side, side, channels), np.uint8)
    for place, image in enumerate(part.images.permute(0, 2, 3, 1).numpy()):
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        resized[place] = fit(
            to_pixels(picture, channels), side, side, settings.resize or "crop", settings.interpolation
        )
    return replace(part, images=torch.from_numpy(resized).permute(0, 3, 1, 2).contiguous())
