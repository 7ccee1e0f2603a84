"""Labelled pictures for a trained network: a folder is read as its network sees it, by the names of its classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from striate.core.errors import DataError, SettingsError
from striate.core.paths import to_type
from striate.core.spec import ImageSpec
from striate.data.audit.finding import of
from striate.data.cache import read_pictures
from striate.data.class_names import MOST, listed, seen
from striate.data.dataset import ImageDataset
from striate.data.parallel import require_readable
from striate.data.sources.scan import LAYOUT, Listing, ignored_summary, is_hidden, list_folder, part_name

BEST_FIRST = ("test", "val", "train")


@dataclass(frozen=True)
class Labelled:
    """The pictures of one part of a folder, with the network's class numbers.

    Args:
        part: 'test', 'val' or 'train'; 'all' where the folder is not split.
        pictures: All that could be read; any of the network's classes may be missing.
        notes: What was left out, one sentence each.
    """

    part: str
    pictures: ImageDataset
    notes: tuple[str, ...]


def part_folders(root: Path, classes: tuple[str, ...]) -> dict[str, Path]:
    """Return the folders of train, val and test by part; none where the folder is not split, but holds classes.

    Raises:
        DataError: The folder cannot be read, or has two folders for one part.
    """
    parts: dict[str, Path] = {}
    try:
        entries = sorted(root.iterdir()) if root.is_dir() else []
        folders = [path for path in entries if path.is_dir() and not is_hidden(path.name)]
    except OSError as error:
        raise _unreadable(error) from None
    if any(folder.name in classes for folder in folders):  # a class may be called anything, 'test' too
        return parts
    for folder in folders:
        part = part_name(folder)
        if part in parts:
            raise DataError(f"two folders for the part '{part}'", where=f"{parts[part]}, {folder}", fix="keep one")
        if part:
            parts[part] = folder
    return parts


def read_labelled(
    root: Path, spec: ImageSpec, part: str | None = None, skip_bad: bool = False, only: Sequence[str] = ()
) -> Labelled:
    """Return the pictures of CLASS/picture or {train,val,test}/CLASS/picture: any of the network's classes, even one.

    Args:
        root: The folder.
        spec: How the network wants pictures, and its classes.
        part: Which part of a split folder; by default the first that exists of test, val and train.
        skip_bad: Leave out pictures that cannot be decoded, instead of naming them all.
        only: The classes to read; all by default.

    Raises:
        SettingsError: The folder has no such part or class.
        DataError: No pictures, pictures that cannot be decoded, classes that the network does not know, or a
            network that tells any number of them.
    """
    if spec.multi_label:
        raise DataError(
            "a folder says one class of each picture; this network tells any number of them",
            where=root,
            fix="measure on the data set that it was trained on",
        )
    parts = part_folders(root, spec.classes) or {"all": root}
    chosen = part or next(name for name in (*BEST_FIRST, "all") if name in parts)
    if chosen not in parts:
        fix = "leave --part out" if "all" in parts else f"use --part {' or '.join(parts)}"
        raise SettingsError(f"the folder has no part '{chosen}'", where=root, fix=fix)
    listing = _list(parts[chosen])
    notes = [*ignored_summary(listing.ignored), *not_asked_for([name for _, name, _ in listing.files], only)]
    if only:
        listing = listing.only_classes(only, least=1)
    require_known([name for _, name, _ in listing.files], spec, parts[chosen], root)
    decoded = read_pictures(parts[chosen], [path for _, _, path in listing.files], spec)
    errors = decoded.errors
    left_out = require_readable(errors, skip_bad)
    pictures = ImageDataset(
        images=decoded.images,  # N C H W
        labels=torch.tensor([spec.classes.index(name) for _, name, _ in listing.files]),
        classes=spec.classes,
        names=listing.names(root),
    )
    if left_out:
        pictures = pictures.select(torch.tensor([error is None for error in errors]).nonzero().squeeze(1))
    return Labelled(chosen, pictures, (*notes, *left_out, *decoded.notes))


def _list(folder: Path) -> Listing:
    try:
        listing = list_folder(folder)
    except OSError as error:
        raise _unreadable(error) from None
    if set(listing.classes) != {""}:
        raise DataError("folders of parts among folders of classes", where=folder, fix=LAYOUT)
    return listing


def not_asked_for(names: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return a sentence on the pictures that are left out as their classes were not asked for.

    Args:
        names: Each picture's class.
        only: The classes that were asked for; all where there is none.
    """
    others = Counter(name for name in names if only and name not in only)
    if not others:
        return []
    return [f"{of(others.total(), 'picture')} left out, of classes that were not asked for: {listed(sorted(others))}"]


def require_known(names: Sequence[str], spec: ImageSpec, where: object, data: object) -> None:
    """Refuse names of classes that the network does not have: DataError, all at once.

    Args:
        names: Of the classes, any number of times each.
        spec: The network's.
        where: What holds them, for the message.
        data: What the user called the data, with which a part of the classes can be asked for.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in spec.classes]
    if not unknown:
        return
    known = [name for name in names if name in spec.classes]
    alike = {name: ours for name in unknown for ours in spec.classes if seen(name) == seen(ours)}
    fixes = []
    if alike:
        spelt = "; ".join(f"{ours!a}, not {name!a}" for name, ours in alike.items())
        fixes.append(f"call them as the network does: {spelt}")
    if known and len(known) <= MOST:
        others = f"{data}:{','.join(known)}"
        fixes.append(f"measure the others alone: {to_type(others)}")
    if len(alike) < len(unknown):
        fixes.append(f"the network's classes are {listed(spec.classes)}")
    none = "" if known or alike else "; it knows none of these"
    raise DataError(
        f"classes that the network does not know: {', '.join(unknown)}{none}", where=where, fix="; ".join(fixes)
    )


def _unreadable(error: OSError) -> DataError:
    return DataError(f"cannot be read ({error.strerror})", where=error.filename, fix="check the path and permissions")
