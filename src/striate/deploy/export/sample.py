"""The real pictures that an export is proven on, and those that int8 is calibrated with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from striate.core.errors import DataError, SettingsError, StriateError
from striate.core.paths import to_type
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.decode import Pixels, open_picture, read_bytes, to_pixels
from striate.data.sources.registry import SOURCES, locate_folder
from striate.deploy.measure import labelled_pictures
from striate.runs.config import read_config

MOST = 1000
MOST_OF_ANY_SIZE, MOST_PIXELS = 100, 2**20


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures of one part, before any crop.

    Args:
        part: 'test', 'val' or 'train'; 'all' where the data are not split.
        pictures: All of them, at the size that the network wants.
        others: Some at sizes of their own, uint8 H W C; none where that was not asked for.
        notes: What was left out of the data, one sentence each.
    """

    part: str
    pictures: ImageDataset
    others: list[Pixels]
    notes: tuple[str, ...] = ()

    def pixels(self, most: int = MOST) -> NDArray[np.uint8]:
        """Return up to so many pictures, evenly spread, uint8 N H W C."""
        return pixels_of(self.pictures.spread(most))


def pixels_of(pictures: ImageDataset) -> NDArray[np.uint8]:
    """Return pictures as exported files take them, uint8 N H W C."""
    return np.ascontiguousarray(pictures.images.permute(0, 2, 3, 1).numpy())


def take_sample(
    path: Path, spec: ImageSpec, data: str | None, part: str | None, data_dir: Path | None, any_size: bool = False
) -> Sample:
    """Return the pictures of a part, by default the test part or else the validation part.

    Args:
        path: A run folder or a model file.
        spec: The network's.
        data: What the user named; the run's own by default.
        part: 'test', 'val' or 'train'.
        data_dir: Folder that holds data sets by name.
        any_size: Take also pictures of other sizes: the files themselves, or else parts of the pictures.

    Raises:
        SettingsError: A model file without data.
        DataError: The run's pictures are not where they were.
    """
    whole = spec.model_copy(update={"crop": None})
    remedy = to_type("striate", "export", path, "--data", "FOLDER")
    if data is None and not path.is_dir():
        raise SettingsError(
            "a model file alone has no pictures to prove the export on", where=path, fix=f"name some: {remedy}"
        )
    try:
        labelled = labelled_pictures(path, whole, data, part, data_dir)
    except DataError as error:
        if data is not None or "no longer here" not in error.what:
            raise
        raise DataError(error.what, where=error.where, fix=f"name their new place: {remedy}") from None
    pictures = labelled.pictures
    if not any_size:
        return Sample(labelled.part, pictures, [], labelled.notes)
    some = pictures.spread(MOST_OF_ANY_SIZE)
    found = _files(some, spec, _folder(path, data, data_dir))
    return Sample(labelled.part, pictures, found or _cut(pixels_of(some)), labelled.notes)


def _folder(path: Path, data: str | None, data_dir: Path | None) -> Path | None:
    """Return the folder that the pictures' names are relative to, if they lie in one."""
    said = data if data is not None else read_config(path).data
    if said.partition(":")[0] in SOURCES:
        return None
    return locate_folder(said, data_dir)[0]


def _files(pictures: ImageDataset, spec: ImageSpec, folder: Path | None) -> list[Pixels]:
    """Return the pictures' files decoded at their own size, the middle of those that are large."""
    if folder is None or not folder.is_dir():
        return []
    found = []
    for name in pictures.names:
        try:
            picture = open_picture(read_bytes(folder / name), name)
            pixels = to_pixels(picture, spec.channels, spec.background, name)
        except StriateError:
            continue
        height, width, _ = pixels.shape
        share = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
        rows, columns = max(1, int(height * share)), max(1, int(width * share))
        top, left = (height - rows) // 2, (width - columns) // 2
        found.append(np.ascontiguousarray(pixels[top : top + rows, left : left + columns]))
    return found


def _cut(pixels: NDArray[np.uint8]) -> list[Pixels]:
    """Return parts of pictures, of many heights and widths."""
    _, height, width, _ = pixels.shape
    return [
        np.ascontiguousarray(
            one[: height - 5 * number % max(1, height // 2), : width - 3 * number % max(1, width // 2)]
        )
        for number, one in enumerate(pixels)
    ]


def labels_of(pictures: ImageDataset) -> NDArray[np.bool_]:
    """Return which classes each picture is of, bool N K."""
    if pictures.multi_label:
        return pictures.labels.numpy()
    hot: NDArray[np.bool_] = torch.nn.functional.one_hot(pictures.labels, len(pictures.classes)).bool().numpy()
    return hot
