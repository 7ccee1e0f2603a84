"""Labelled picture files, from a folder or a table, to Splits: size, decoding, parts and the record of each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import torch
from torch import Tensor

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.aspect import ResizeChoice, choose_resize
from striate.data.cache import Decoded, read_pictures
from striate.data.conversions import GREY_MODES
from striate.data.dataset import FileRecord, ImageDataset, Splits, label_texts
from striate.data.decode import read_bytes, size_and_mode
from striate.data.fixes import Fixes, but_excluded
from striate.data.parallel import Outcome, require_readable
from striate.data.sources.groups import group_numbers, require_undivided

SAMPLE = 128
SIDES = (32, 48, 64, 96, 128, 160, 224)
MIN_PER_CLASS = 2


@dataclass(frozen=True)
class LabelledFiles:
    """Picture files with their labels, before any of them has been opened.

    Args:
        where: The folder or table as the user called it, for messages.
        place: The same, absolute: what opens the data again.
        folder: What the names are relative to.
        root: A folder that all files are below.
        paths: The files, those of one part in a row. Plain text: there may be a million, and a Path takes longer to
            make than its file to look up.
        names: What the pictures are called: their paths below the folder, absolute where they are not below it.
        labels: int64 N, or bool N K.
        classes: Class names in label order.
        parts: The files of each part, in order; '' where nothing is split.
        groups: The group of each picture, where they have any.
        ignored: (name, reason) of what is there but not among the files.
        notes: What was done to the data so far, one sentence each.
    """

    where: Path
    place: Path
    folder: Path
    root: Path
    paths: Sequence[str]
    names: Sequence[str]
    labels: Tensor
    classes: tuple[str, ...]
    parts: Mapping[str, range]
    groups: Sequence[str] | None = None
    ignored: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


def load_files(
    files: LabelledFiles, settings: DataSettings, only: Sequence[str] = (), fixes: Fixes | None = None
) -> Splits:
    """Return the pictures of labelled files as Splits, unsplit parts left None.

    Every file is decoded once and kept (data/cache.py). Files that cannot be decoded are named all at once; with
    `skip_bad` they are left out and recorded instead.

    Args:
        files: What to read.
        settings: Size, channels, what to do with bad pictures.
        only: The classes in their order, where they are some of the data's.
        fixes: What will be applied to them: the pictures that they exclude need not be readable.

    Raises:
        DataError: Pictures or groups are unusable; the message lists every offender.
        ResourceError: Neither the memory nor the cache can hold the decoded pictures.
    """
    if files.groups is not None:
        require_undivided(files.groups, files.parts, files.where)
    if fixes is not None:  # before a picture is decoded
        pictures = {*files.names, *(name for name, _ in files.ignored)}
        fixes.require_obeyable(pictures, files.classes, multi_label=files.labels.ndim == 2)
    spec, resize, own_side = _choose_spec(files, settings)
    decoded = read_pictures(files.root, files.paths, spec)
    left_out = require_readable(but_excluded(decoded.errors, files.names, fixes), settings.skip_bad)
    groups = None if files.groups is None else group_numbers(files.groups)
    parts = {part: _assemble(files, decoded, part, groups) for part in files.parts}
    train = parts.get("train", parts.get(""))
    assert train is not None
    _check_counts(train, files.where)
    splits = Splits(
        name=files.place.name,
        source=str(files.place),
        train=train,
        val=parts.get("val"),
        test=parts.get("test"),
        folder=files.folder,
        files=_ledger(files, decoded),
        notes=[*files.notes, *left_out, *decoded.notes],
        resize=resize,
        own_side=own_side,
    )
    return splits.only_classes(only) if only else splits


def _choose_spec(files: LabelledFiles, settings: DataSettings) -> tuple[ImageSpec, ResizeChoice, int]:
    """Return size, channels and resize: as set, else from an evenly spread sample of the pictures; and why so.

    Also the side that they would have where none is set.
    """
    step = max(len(files.paths) // SAMPLE, 1)
    sizes: list[tuple[int, int]] = []
    colour = False
    for path in files.paths[::step]:
        try:
            size, mode = size_and_mode(read_bytes(path), path)
        except DataError:
            continue  # named with all the others when everything is decoded
        sizes.append(size)
        colour = colour or mode not in GREY_MODES
    channels: Literal[1, 3] = settings.channels or (3 if colour else 1)
    own_side = working_size([min(size) for size in sizes])
    side = settings.img_size or own_side
    resize = choose_resize(sizes)
    spec = ImageSpec(
        channels=channels,
        height=side,
        width=side,
        classes=files.classes,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        resize=settings.resize or resize.resize,
        interpolation=settings.interpolation,
    )
    return spec, resize, own_side


def working_size(sides: Sequence[int]) -> int:
    """Return the side to work at for pictures whose shorter sides are given, in pixels.

    Small pictures of one size stay as they are; otherwise the largest of a few usual sizes that the
    median picture fills.
    """
    if not sides:
        return SIDES[0]
    if len(set(sides)) == 1 and 8 <= sides[0] <= 64:
        return sides[0]
    typical = median(sides)
    return max((side for side in SIDES if side <= typical), default=SIDES[0])


def _assemble(files: LabelledFiles, decoded: Decoded, part: str, groups: Tensor | None) -> ImageDataset:
    rows = [row for row in files.parts[part] if decoded.errors[row] is None]
    if not rows:
        raise DataError(f"no usable picture in '{part or files.where.name}'", where=files.where, fix="add pictures")
    numbers = torch.tensor(rows)
    whole = slice(rows[0], rows[-1] + 1)  # a part's files follow each other: its pictures need no copy
    return ImageDataset(
        images=decoded.images[whole if len(rows) == whole.stop - whole.start else numbers],  # N C H W
        labels=files.labels[numbers],
        classes=files.classes,
        names=[files.names[row] for row in rows],
        groups=None if groups is None else groups[numbers],
    )


def _check_counts(train: ImageDataset, where: Path) -> None:
    counts = dict(zip(train.classes, train.class_counts(), strict=True))
    few = [f"{name} ({count})" for name, count in counts.items() if count < MIN_PER_CLASS]
    if few:
        raise DataError(
            f"fewer than {MIN_PER_CLASS} usable training pictures in: {', '.join(few)}",
            where=where,
            fix=f"add pictures: {MIN_PER_CLASS} per class are the least, some dozens make sense",
        )


def _ledger(files: LabelledFiles, decoded: Decoded) -> list[FileRecord]:
    texts = label_texts(files.labels, files.classes)
    records = [
        file_record(files.names[row], part, texts[row], decoded.errors[row] or decoded.conversions[row])
        for part, rows in files.parts.items()
        for row in rows
    ]
    return records + [FileRecord(name, "", "", "ignored", reason) for name, reason in files.ignored]


def file_record(name: str, part: str, class_name: str, outcome: Outcome) -> FileRecord:
    """Return the record of a decoded file: used, fixed (used, but not as it came) or skipped."""
    if isinstance(outcome, DataError):
        return FileRecord(name, part, class_name, "skipped", outcome.what)
    return FileRecord(name, part, class_name, "fixed" if outcome else "used", outcome)
