"""Image folders: CLASS/picture or {train,val,test}/CLASS/picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from striate.core.errors import DataError
from striate.core.names import some
from striate.core.paths import to_type
from striate.core.settings import DataSettings
from striate.data.class_names import look_alikes, spelt_out
from striate.data.dataset import Splits
from striate.data.fixes import Fixes
from striate.data.sources.assemble import LabelledFiles, load_files
from striate.data.sources.groups import groups_in_paths
from striate.data.sources.scan import NO_PART, Listing, empty_folders, ignored_summary, list_folder
from striate.data.table_file import table_hint
from striate.data.unread import CONVERT

MOST_NAMED = 20  # classes in a command to type


def load_folder(root: Path, settings: DataSettings, only: Sequence[str] = (), fixes: Fixes | None = None) -> Splits:
    """Return the pictures of a folder as Splits, unsplit parts left None.

    Args:
        root: The folder.
        settings: Size, channels, groups, what to do with bad pictures.
        only: The classes to read, in their order; all by default.
        fixes: What will be applied to them.

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
        ignored=listing.left_aside(root),
        notes=ignored_summary(listing.ignored),
    )
    return load_files(files, settings, only, fixes)


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
        others = [name for name in training if name not in empty]
        subset = to_type(f"{listing.root}:{','.join(others)}")
        aside = empty_folders(listing, trained_part, empty)
        lines = "\n".join(f"  {name}" + (f" ({what})" if what else "") for name, what in aside.items())
        raise DataError(
            f"class folders without a picture:\n{lines}",
            where=listing.root,
            fix="add pictures to them, or remove the folders"
            + (f"; {CONVERT}" if any(aside.values()) else "")
            + (f"; the others alone are  {subset}" if 2 <= len(others) <= MOST_NAMED else "")
            + f";  all that is wrong is told by  {to_type('striate', 'data', 'check', listing.root)}",
        )
    if len(training) < 2:
        beside = [Path(path).name for path, reason in listing.ignored if reason == NO_PART]
        ignored = f"; beside {trained_part}/, {some(beside)} is ignored: {NO_PART}" if beside else ""
        only = f"only one class ('{training[0]}'): a classifier needs two or more{ignored}" if training else ""
        raise DataError(
            only or "no class folders",
            where=listing.root,
            fix=table_hint(Path(path) for path, _ in listing.ignored)
            or "put the pictures of each class into a folder of their own",
        )
    _require_unicode(listing.root, training)
    strangers = [path for _, name, path in listing.files if name not in training]
    if strangers:
        raise DataError(
            f"classes that the training part lacks:\n{_by_folder(strangers, listing.root)}",
            where=listing.root,
            fix="add training pictures of them, or remove the folders" + _misspelt(listing, training),
        )
    return tuple(training)


def _require_unicode(root: Path, classes: Sequence[str]) -> None:
    """Refuse names that no text file could hold; those of single pictures may have any bytes."""
    odd = [text for text in (str(root.resolve()), *classes) if text != text.encode(errors="replace").decode()]
    if odd:
        raise DataError(
            "names of folders that are not valid Unicode",
            where=" and ".join(map(ascii, odd)),
            fix="rename these folders",
        )


def _by_folder(paths: Sequence[str], root: Path) -> str:
    """Return one line per folder of classes: how many of these pictures are in it, and the first."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        part, name, *_ = Path(path).relative_to(root).parts
        folders.setdefault(f"{part}/{name}", []).append(path)
    lines = (f"  {name}: {len(found):,} pictures, the first {found[0]}" for name, found in sorted(folders.items()))
    return "\n".join(lines)


def _misspelt(listing: Listing, training: Sequence[str]) -> str:
    """Return what to add where another part has a class's name in another spelling."""
    groups = look_alikes([*training, *(name for _, name, _ in listing.files)])
    return f"; or give them one name: {'; '.join(map(spelt_out, groups))}" if groups else ""
