"""Listing an image folder: which files are pictures of which part and class, and what is left aside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from striate.core.errors import DataError
from striate.core.names import some
from striate.core.paths import is_there, to_type
from striate.data import unread
from striate.data.dataset import require_classes
from striate.data.decode import SUFFIXES
from striate.data.reading import READING
from striate.data.table_file import table_hint
from striate.data.unread import suffix_of, unread_reason, unread_summary

PART_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db"}
NOT_ASKED, HIDDEN = "class not asked for", "hidden or system file"
_WITHOUT_NAMES = (NOT_ASKED, HIDDEN)
NO_PART = "not one of train, val, test"
LAYOUT = (
    "expected  FOLDER/CLASS/picture.jpg  or  FOLDER/{train,val,test}/CLASS/picture.jpg;  "
    "or a table of paths and labels:  striate train labels.csv"
)


@dataclass(frozen=True)
class Listing:
    """What an image folder holds.

    Args:
        files: (part, class, path) of each picture file, in sorted order; part is '' where nothing is split. Paths
            are plain text: there may be a million, and a Path takes longer to make than its file to look up.
        classes: For each part the class folders, empty ones included.
        ignored: (path, reason) of everything that is neither picture nor folder of pictures.
    """

    root: Path
    files: list[tuple[str, str, str]]
    classes: dict[str, list[str]]
    ignored: list[tuple[str, str]]

    def names(self, root: Path) -> list[str]:
        """Return the files' paths below a folder that holds them all."""
        return below(root, [path for _, _, path in self.files])

    def left_aside(self, root: Path) -> list[tuple[str, str]]:
        """Return what is ignored, with paths below a folder that holds everything, and the reasons."""
        paths = below(root, [path for path, _ in self.ignored])
        return [(path, reason) for path, (_, reason) in zip(paths, self.ignored, strict=True)]

    def only_classes(self, names: Sequence[str], least: int = 2) -> Listing:
        """Return the listing of some classes; SettingsError where there is no such class, or too few are named."""
        known = sorted(set(chain.from_iterable(self.classes.values())))
        require_classes(names, known, str(self.root), least)
        files = [(part, name, path) for part, name, path in self.files if name in names]
        classes = {part: [name for name in found if name in names] for part, found in self.classes.items()}
        others = [(path, NOT_ASKED) for _, name, path in self.files if name not in names]
        return replace(self, files=files, classes=classes, ignored=[*self.ignored, *others])


def below(root: Path, paths: Sequence[str]) -> list[str]:
    """Return paths below a folder that holds them all."""
    start = len(str(root / "x")) - 1  # 0 for the folder "."
    return [path[start:] for path in paths]


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is the system's own: '.git', 'Thumbs.db', '__MACOSX', '._x.jpg'."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def list_folder(root: Path) -> Listing:
    """Return what an image folder holds, without opening a picture.

    Raises:
        DataError: The path is missing, not a folder, not readable, empty, or without class folders.
    """
    if not is_there(root):
        raise DataError("no such folder", where=root, fix="check the path, or 'striate data list' for named data sets")
    if not root.is_dir():
        raise DataError("is a file, not a folder of pictures", where=root, fix=LAYOUT)
    ignored: list[tuple[str, str]] = []
    parts = find_parts(root, ignored)
    class_folders = {part: _folders(folder, ignored) for part, folder in parts.items()}
    for part, folder in parts.items():
        loose = _loose_files(folder)
        pictures = [path for path in loose if path.suffix.lower() in SUFFIXES]
        if pictures and not class_folders[part]:
            fix = table_hint(loose) or LAYOUT
            raise DataError(f"{len(pictures)} pictures lie outside class folders", where=folder, fix=fix)
        ignored += [(str(path), "outside class folders") for path in loose]
    # a link back to any of these would give pictures a second, wrong class
    closed = {_identity(folder) for folder in [root, *parts.values(), *chain.from_iterable(class_folders.values())]}
    files = []
    with READING.listing():
        for part, folders in class_folders.items():
            for folder in folders:
                for path in _pictures(folder, ignored, closed - {_identity(folder)}):
                    files.append((part, folder.name, path))
                    READING.found += 1
    if not files:
        aside = unread_summary(path for path, _ in ignored)
        raise DataError(
            "no pictures found" + (f" ({aside})" if aside else ""),
            where=root,
            fix=f"{unread.CONVERT};  {LAYOUT}" if aside else LAYOUT,
        )
    return Listing(root, files, {part: [f.name for f in folders] for part, folders in class_folders.items()}, ignored)


def find_parts(root: Path, ignored: list[tuple[str, str]]) -> dict[str, Path]:
    """Return the folders of train, val and test, or {'': root} where the pictures are not split.

    A folder called like a part is one where folders of classes lie in it: 'train' may be a class of vehicles.
    """
    folders = _folders(root, [])
    parts: dict[str, Path] = {}
    for folder in folders:
        part = part_name(folder)
        if part is None or not _folders(folder, []):
            continue
        if part in parts:
            raise DataError(f"two folders for the part '{part}'", where=f"{parts[part]}, {folder}", fix="keep one")
        parts[part] = folder
    if parts and len(parts) == len(folders) and "train" not in parts:
        raise DataError(f"there is {' and '.join(parts)} but no train folder", where=root, fix=LAYOUT)
    if "train" not in parts:
        return {"": root}  # classes may be called anything, 'test' too
    _folders(root, ignored)
    others = [folder for folder in folders if folder not in parts.values()]
    ignored += [(str(folder), NO_PART) for folder in others if part_name(folder) is None]
    for folder in others:
        if part_name(folder) is not None:  # pictures without labels, as in many competitions
            ignored += [(str(path), f"in {folder.name}/, but in no class folder") for path in _loose_files(folder)]
    ignored += [(str(path), "outside class folders") for path in _loose_files(root)]
    return parts


def part_name(folder: Path) -> str | None:
    """Return 'train', 'val' or 'test' where a folder is called like one of them, else None."""
    return PART_NAMES.get(folder.name.lower())


def ignored_summary(ignored: Iterable[tuple[str, str]]) -> list[str]:
    """Return one sentence per reason with its count and the first names, for the user."""
    names: dict[str, list[str]] = {}
    for path, reason in ignored:
        names.setdefault(reason, []).append(Path(path).name)
    return [
        f"{len(found)} ignored: {reason}" + ("" if reason in _WITHOUT_NAMES else f": {some(found)}")
        for reason, found in sorted(names.items())
    ]


def empty_folders(listing: Listing, part: str, classes: Sequence[str]) -> dict[str, str]:
    """Return for each of a part's classes without a picture which pictures in its folder are not read; '' for none."""
    folder = find_parts(listing.root, [])[part]
    aside = [Path(path) for path, _ in listing.ignored]
    return {name: unread_summary(path.name for path in aside if folder / name in path.parents) for name in classes}


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        raise DataError("folder may not be read", where=folder, fix=to_type("chmod", "u+rx", folder)) from None


def _folders(folder: Path, ignored: list[tuple[str, str]]) -> list[Path]:
    """Return the folders in a folder that may hold pictures, each once: links to one of the others are left out."""
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(_entries(folder), key=lambda path: (path.is_symlink(), path)):
        if is_hidden(path.name):
            ignored.append((str(path), HIDDEN))
        elif path.is_dir():
            if holds_runs(path):
                ignored.append((str(path), "run folders of striate"))
            elif _identity(path) in found:
                ignored.append((str(path), "link to a folder read elsewhere"))
            else:
                found[_identity(path)] = path
        elif path.is_symlink() and not path.exists():
            ignored.append((str(path), "dangling link"))
    return sorted(found.values())


def holds_runs(folder: Path) -> bool:
    """Return whether this is where `striate train` put its results, begun inside the folder of pictures."""
    with suppress(OSError), os.scandir(folder) as found:  # one that may not be read is named where it is listed
        places = [folder, *(Path(entry.path) for entry in found if entry.is_dir())]
        return any((p / "config.json").is_file() and (p / "environment.json").is_file() for p in places)
    return False


def _loose_files(folder: Path) -> list[Path]:
    dangling = [path for path in _entries(folder) if path.is_symlink() and not path.exists()]
    return [p for p in _entries(folder) if not p.is_dir() and not is_hidden(p.name) and p not in dangling]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _pictures(
    class_folder: Path, ignored: list[tuple[str, str]], closed: Set[tuple[int, int]] = frozenset()
) -> Iterator[str]:
    """Yield the picture files under a class folder, at any depth; each folder once, so that loops end.

    Args:
        closed: Identities of folders not to enter, which links could lead to.
    """
    seen = set(closed)
    waiting = [class_folder]
    while waiting:
        here = waiting.pop()
        identity = _identity(here)
        try:
            with os.scandir(here) as found:
                # what an entry is comes with its name: asking for each of a million files would take a minute
                entries = sorted((entry.name, _is_folder(entry), entry.is_symlink()) for entry in found)
        except OSError as error:
            fix = to_type("chmod", "u+rx", error.filename)
            raise DataError("folder may not be read", where=error.filename, fix=fix) from None
        if identity in seen:
            ignored.append((str(here), "link to a folder read elsewhere"))
            continue
        seen.add(identity)
        for name, is_folder, is_link in entries:
            if is_hidden(name):
                ignored.append((str(here / name), HIDDEN))
            elif is_folder:
                continue
            elif is_link and not (here / name).exists():
                ignored.append((str(here / name), "dangling link"))
            elif (suffix := suffix_of(name)) not in SUFFIXES:
                ignored.append((str(here / name), _no_picture(suffix)))
            else:
                yield f"{here}{os.sep}{name}"
        waiting += [here / name for name, is_folder, _ in reversed(entries) if is_folder and not is_hidden(name)]


def picture_or_not(path: Path, ignored: list[tuple[str, str]]) -> bool:
    """Return whether a file is a picture by its name; one that is not goes to `ignored`."""
    if is_hidden(path.name):
        ignored.append((str(path), HIDDEN))
        return False
    if (suffix := suffix_of(path.name)) not in SUFFIXES:
        ignored.append((str(path), _no_picture(suffix)))
        return False
    return True


def _no_picture(suffix: str) -> str:
    return (
        unread_reason(suffix) if suffix in unread.SUFFIXES else f"not a picture by its name ({suffix or 'no suffix'})"
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def pictures_under(paths: Iterable[Path], ignored: list[tuple[str, str]]) -> Iterator[Path]:
    """Yield files as they are given, and for each folder the picture files under it; the rest goes to `ignored`."""
    for path in paths:
        if path.is_dir():
            yield from map(Path, _pictures(path, ignored))
        else:
            yield path
