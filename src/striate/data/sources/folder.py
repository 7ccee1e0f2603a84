"""Image folders: CLASS/picture or {train,val,test}/CLASS/picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.data.dataset import Splits
from striate.data.sources.assemble import LabelledFiles, load_files
from striate.data.sources.groups import groups_in_paths
from striate.data.sources.scan import Listing, ignored_summary, list_folder
from striate.data.sources.table_file import table_hint


def load_folder(root: Path, settings: DataSettings, only: Sequence[str] = ()) -> Splits:
    """Return the pictures of a folder as Splits, unsplit parts left None.

    Args:
        root: The folder.
        settings: Size, channels, groups, what to do with bad pictures.
        only: The classes to read, in their order; all by default.

    Raises:
        DataError: Layout, classes, groups or pictures are unusable; the message lists every offender.
        ResourceError: Neither the memory nor the cache can hold the decoded pictures.
    """
    listing = list_folder(root)
    if only:
        listing = listing.only_classes(only)
    classes = _agreed_classes(listing)
    numbers = {name: label for label, name in enumerate(classes)}
    names = listing.names(root)
    files = LabelledFiles(
        where=root,
        place=root.resolve(),
        folder=root,
        root=root,
        paths=[path for _, _, path in listing.files],
        names=names,
        labels=torch.tensor([numbers[name] for _, name, _ in listing.files]),
        classes=classes,
        parts=_parts(listing),
        groups=None if settings.group is None else groups_in_paths(settings.group, names, root),
        ignored=[(str(path.relative_to(listing.root)), reason) for path, reason in listing.ignored],
        notes=ignored_summary(listing.ignored),
    )
    return load_files(files, settings, only)


def _parts(listing: Listing) -> dict[str, range]:
    """Return where the files of each part stand: they follow each other."""
    counts = Counter(part for part, _, _ in listing.files)
    parts, start = {}, 0
    for part in listing.classes:
        parts[part] = range(start, start + counts[part])
        start += counts[part]
    return parts


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
            fix=table_hint(path for path, _ in listing.ignored)
            or "put the pictures of each class into a folder of their own",
        )
    strangers = sorted({f"{part}/{name}" for part, name in filled if name not in training})
    if strangers:
        raise DataError(
            f"classes that the training part lacks: {', '.join(strangers)}",
            where=listing.root,
            fix="add training pictures of them, or remove the folders",
        )
    return tuple(training)
