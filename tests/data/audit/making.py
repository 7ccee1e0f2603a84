"""Data sets in memory for the check: parts of pictures with labels and names."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from striate.data.dataset import ImageDataset, Splits

CLASSES = ("ants", "bees", "cats")


def part(images: np.ndarray, labels: list[int] | None = None, prefix: str = "train") -> ImageDataset:
    """A part of uint8 pictures N H W or N H W C, with names prefix/0, prefix/1 …"""
    array = images[..., None] if images.ndim == 3 else images
    tensor = torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    given = labels if labels is not None else [0] * len(images)
    return ImageDataset(tensor, torch.tensor(given), CLASSES, [f"{prefix}/{i}" for i in range(len(images))])


def splits(train: ImageDataset, val: ImageDataset | None = None, test: ImageDataset | None = None) -> Splits:
    return Splits("made", train, val, test)


def photographs(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    """Pictures with structure of all sizes, as photographs have: uint8 N side side 3."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    amplitude = 1 / np.maximum(frequency, 1 / side)  # the spectrum of natural scenes falls like 1/f

    def field(channels: int, falling: int) -> np.ndarray:
        noise = np.fft.fft2(rng.standard_normal((count, channels, side, side))) * amplitude**falling
        values = np.fft.ifft2(noise).real
        values -= values.mean((2, 3), keepdims=True)
        return values / values.std((2, 3), keepdims=True)

    mixed = 128 + 40 * field(1, 1) + 15 * field(3, 2)  # colours change more slowly than brightness
    return mixed.clip(0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1)


def saved_again(picture: np.ndarray, quality: int = 60) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB" if picture.ndim == 3 else "L"))


def resized_and_back(picture: np.ndarray, side: int) -> np.ndarray:
    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(small.resize(picture.shape[1::-1], Image.Resampling.BICUBIC))


def brighter(picture: np.ndarray, factor: float, offset: float) -> np.ndarray:
    return (picture.astype(np.float64) * factor + offset).clip(0, 255).round().astype(np.uint8)
