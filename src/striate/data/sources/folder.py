"""Image folders: CLASS/picture or {train,val,test}/CLASS/picture, decoded once to one size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import torch

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.cache import Decoded, read_pictures
from striate.data.dataset import FileRecord, ImageDataset, Splits
from striate.data.decode import read_bytes, size_and_mode
from striate.data.fixes import but_excluded
from striate.data.parallel import Errors, require_readable
from striate.data.sources.scan import Listing, ignored_summary, list_folder

SAMPLE = 128
SIDES = (32, 48, 64, 96, 128, 160, 224)
GREY_MODES = ("L", "1", "I", "F", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
MIN_PER_CLASS = 2


def load_folder(root: Path, settings: DataSettings, only: Sequence[str] = ()) -> Splits:
    """Return the pictures of a folder as Splits, unsplit parts left None.

    Every file is decoded once and kept (data/cache.py). Files that cannot be decoded are named all at once; with
    `skip_bad` they are left out and recorded instead.

    Args:
        root: The folder.
        settings: Size, channels, what to do with bad pictures.
        only: The classes to read, in their order; all by default.

    Raises:
        DataError: Layout, classes or pictures are unusable; the message lists every offender.
        ResourceError: Neither the memory nor the cache can hold the decoded pictures.
    """
    listing = list_folder(root)
    if only:
        listing = listing.only_classes(only)
    classes = _agreed_classes(listing)
    spec = _choose_spec(listing, classes, settings)
    decoded = read_pictures(root, [path for _, _, path in listing.files], spec)
    names = listing.names(root)
    left_out = require_readable(but_excluded(decoded.errors, names, settings.fixes), settings.skip_bad)
    parts = {part: _assemble(listing, names, decoded, part, classes) for part in listing.classes}
    train = parts.get("train", parts.get(""))
    assert train is not None
    _check_counts(train, root)
    splits = Splits(
        name=root.resolve().name,
        source=str(root.resolve()),
        train=train,
        val=parts.get("val"),
        test=parts.get("test"),
        folder=root,
        files=_ledger(listing, names, decoded.errors),
        notes=[*ignored_summary(listing.ignored), *left_out, *decoded.notes],
    )
    return splits.only_classes(only) if only else splits


def _agreed_classes(listing: Listing) -> tuple[str, ...]:
    """Return the training part's classes; every other part may lack some, but add none."""
    training = listing.classes.get("train", listing.classes.get("", []))
    filled = {(part, name) for part, name, _ in listing.files}
    trained_part = "train" if "train" in listing.classes else ""
    empty = [name for name in training if (trained_part, name) not in filled]
    if empty:
        raise DataError(
            f"class folders without a picture: {', '.join(empty)}",
            where=listing.root,
            fix="add pictures to them or remove the folders",
        )
    if len(training) < 2:
        raise DataError(
            f"only one class ('{training[0]}'): a classifier needs two or more" if training else "no class folders",
            where=listing.root,
            fix="put the pictures of each class into a folder of their own",
        )
    strangers = sorted({f"{part}/{name}" for part, name in filled if name not in training})
    if strangers:
        raise DataError(
            f"classes that the training part lacks: {', '.join(strangers)}",
            where=listing.root,
            fix="add training pictures of them, or remove the folders",
        )
    return tuple(training)


def _choose_spec(listing: Listing, classes: tuple[str, ...], settings: DataSettings) -> ImageSpec:
    """Return size and channels: as set, else from an evenly spread sample of the pictures."""
    step = max(len(listing.files) // SAMPLE, 1)
    sizes: list[int] = []
    colour = False
    for _, _, path in listing.files[::step]:
        try:
            (width, height), mode = size_and_mode(read_bytes(path), path)
        except DataError:
            continue  # named with all the others when everything is decoded
        sizes.append(min(width, height))
        colour = colour or mode not in GREY_MODES
    channels: Literal[1, 3] = settings.channels or (3 if colour else 1)
    side = settings.img_size or working_size(sizes)
    return ImageSpec(
        channels=channels,
        height=side,
        width=side,
        classes=classes,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        resize=settings.resize,
        interpolation=settings.interpolation,
    )


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


def _assemble(
    listing: Listing, names: Sequence[str], decoded: Decoded, part: str, classes: tuple[str, ...]
) -> ImageDataset:
    labels = {name: label for label, name in enumerate(classes)}
    rows = [
        (row, labels[class_name])
        for row, ((file_part, class_name, _), error) in enumerate(zip(listing.files, decoded.errors, strict=True))
        if file_part == part and error is None
    ]
    if not rows:
        raise DataError(f"no usable picture in '{part or listing.root.name}'", where=listing.root, fix="add pictures")
    numbers = torch.tensor([row for row, _ in rows])
    whole = slice(rows[0][0], rows[-1][0] + 1)  # a part's files follow each other: its pictures need no copy
    return ImageDataset(
        images=decoded.images[whole if len(rows) == whole.stop - whole.start else numbers],  # N C H W
        labels=torch.tensor([label for _, label in rows]),
        classes=classes,
        names=[names[row] for row, _ in rows],
    )


def _check_counts(train: ImageDataset, root: Path) -> None:
    counts = dict(zip(train.classes, train.class_counts(), strict=True))
    few = [f"{name} ({count})" for name, count in counts.items() if count < MIN_PER_CLASS]
    if few:
        raise DataError(
            f"fewer than {MIN_PER_CLASS} usable training pictures in: {', '.join(few)}",
            where=root,
            fix=f"add pictures: {MIN_PER_CLASS} per class are the least, some dozens make sense",
        )


def _ledger(listing: Listing, names: Sequence[str], errors: Errors) -> list[FileRecord]:
    records = [
        FileRecord(name, part, class_name, "skipped", error.what)
        if error is not None
        else FileRecord(name, part, class_name, "used")
        for name, (part, class_name, _), error in zip(names, listing.files, errors, strict=True)
    ]
    below = ((str(path.relative_to(listing.root)), reason) for path, reason in listing.ignored)
    return records + [FileRecord(name, "", "", "ignored", reason) for name, reason in below]
