"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey pictures of 28×28 in the idx format."""

from __future__ import annotations

import gzip
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.data.dataset import ImageDataset, Splits
from striate.data.find import fetch_or_explain, find_folder
from striate.data.sources.registry import SOURCES, Source

PARTS = {"train": "train", "test": "t10k"}
FILES = [f"{prefix}-{kind}-ubyte" for prefix in PARTS.values() for kind in ("images-idx3", "labels-idx1")]
DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes, plain or gzipped (format: LeCun's MNIST page).

    Raises:
        DataError: The file is damaged, truncated, or holds another type.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read ({error})", where=path, fix="delete it and fetch it again") from None
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise DataError("not an idx file of unsigned bytes", where=path, fix="delete it and fetch it again")
    axes = data[3]
    shape = tuple(np.frombuffer(data, ">u4", count=axes, offset=4).tolist()) if len(data) >= 4 + 4 * axes else ()
    if len(data) != 4 + 4 * axes + int(np.prod(shape)):
        raise DataError(f"truncated idx file of {len(data)} bytes", where=path, fix="delete it and fetch it again")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _idx_file(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def find_mnist(name: str, torchvision_name: str, data_dir: Path | None) -> Path | None:
    """Return the folder with all four idx files, in torchvision's, Debian's or a plain layout, or None."""
    # a folder of four bare idx files does not say which data set it is, so its own name must
    candidates = [f"{name}/{torchvision_name}/raw", f"{torchvision_name}/raw", name]
    return find_folder(data_dir, candidates, lambda folder: all(_idx_file(folder, file) for file in FILES))


def load_mnist(
    name: str, torchvision_name: str, classes: tuple[str, ...], mirror_safe: bool, data_dir: Path | None
) -> Splits:
    """Return MNIST or Fashion-MNIST, fetched through torchvision where it is not on this machine."""
    folder = find_mnist(name, torchvision_name, data_dir)
    if folder is None:

        def fetch(root: Path) -> object:
            import torchvision.datasets

            return getattr(torchvision.datasets, torchvision_name)(root, download=True)

        layout = [f"{torchvision_name}/raw/{file}" for file in FILES]
        fetch_or_explain(name, data_dir, layout, fetch)
        folder = find_mnist(name, torchvision_name, data_dir)
        assert folder is not None

    def part(which: str) -> ImageDataset:
        images_file = _idx_file(folder, f"{PARTS[which]}-images-idx3-ubyte")
        labels_file = _idx_file(folder, f"{PARTS[which]}-labels-idx1-ubyte")
        assert images_file
        assert labels_file
        images, labels = read_idx(images_file), read_idx(labels_file)
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"{images.shape} pictures and {labels.shape} labels do not belong together",
                where=folder,
                fix="delete the files and fetch them again",
            )
        return ImageDataset(
            images=torch.from_numpy(images.copy())[:, None],  # N 1 28 28
            labels=torch.from_numpy(labels.astype(np.int64)),
            classes=classes,
            names=[f"{name}/{which}/{i}" for i in range(len(images))],
        )

    return Splits(name=name, train=part("train"), test=part("test"), mirror_safe=mirror_safe)


for _name, _torchvision_name, _classes, _mirror_safe, _summary in (
    ("mnist", "MNIST", DIGITS, False, "handwritten digits, 60,000 + 10,000 of 28×28 grey"),
    ("fashion-mnist", "FashionMNIST", CLOTHES, True, "clothes, 60,000 + 10,000 of 28×28 grey"),
):
    SOURCES.register(_name)(
        Source(
            load=partial(load_mnist, _name, _torchvision_name, _classes, _mirror_safe),
            find=partial(find_mnist, _name, _torchvision_name),
            summary=_summary,
        )
    )
