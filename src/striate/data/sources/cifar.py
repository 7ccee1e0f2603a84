"""CIFAR-10 in its authors' python batches: 50,000 + 10,000 colour pictures of 32×32.

The batches are pickles of a dictionary of one NumPy array and lists. They are read by an unpickler that
knows nothing but NumPy's array constructor, so that no other code can be named by the file.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from striate.core.errors import DataError
from striate.data.dataset import ImageDataset, Splits
from striate.data.find import fetch_or_explain, find_folder
from striate.data.sources.registry import SOURCES, Source

FOLDER = "cifar-10-batches-py"
TRAIN = [f"data_batch_{i}" for i in range(1, 6)]
TEST = ["test_batch"]
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_ALLOWED = {"ndarray": np.ndarray, "dtype": np.dtype, "_reconstruct": np.empty(0).__reduce__()[0]}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "_codecs" and name == "encode":
            return lambda text, encoding: text.encode(encoding)
        if module.split(".")[0] == "numpy" and name in _ALLOWED:
            return _ALLOWED[name]
        raise pickle.UnpicklingError(f"names {module}.{name}, which is no part of a CIFAR batch")


def read_batch(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures (uint8, N 3 32 32) and labels (int64, N) of one batch file.

    Raises:
        DataError: The file is damaged, or is not a CIFAR-10 batch.
    """
    try:
        content = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        content = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        pixels = np.asarray(content["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        labels = np.asarray(content["labels"], dtype=np.int64).reshape(len(pixels))
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(f"not a CIFAR-10 batch ({error})", where=path, fix="delete it and fetch it again") from None
    return torch.from_numpy(pixels.copy()), torch.from_numpy(labels)


def find_cifar10(data_dir: Path | None) -> Path | None:
    """Return the folder with all six batches, or None."""
    return find_folder(
        data_dir,
        [FOLDER, f"cifar10/{FOLDER}", "cifar10"],
        lambda folder: all((folder / file).is_file() for file in TRAIN + TEST),
    )


def load_cifar10(data_dir: Path | None = None) -> Splits:
    """Return CIFAR-10, fetched through torchvision where it is not on this machine."""
    folder = find_cifar10(data_dir)
    if folder is None:

        def fetch(root: Path) -> object:
            import torchvision.datasets

            return torchvision.datasets.CIFAR10(root, download=True)

        fetch_or_explain("cifar10", data_dir, [f"{FOLDER}/{file}" for file in TRAIN + TEST], fetch)
        folder = find_cifar10(data_dir)
        assert folder is not None

    def part(which: str, files: list[str]) -> ImageDataset:
        batches = [read_batch(folder / file) for file in files]
        images = torch.cat([images for images, _ in batches])
        return ImageDataset(
            images=images,
            labels=torch.cat([labels for _, labels in batches]),
            classes=CLASSES,
            names=[f"cifar10/{which}/{i}" for i in range(len(images))],
        )

    return Splits(name="cifar10", train=part("train", TRAIN), test=part("test", TEST))


SOURCES.register("cifar10")(Source(load_cifar10, find_cifar10, "ten kinds of things, 50,000 + 10,000 of 32×32 colour"))
