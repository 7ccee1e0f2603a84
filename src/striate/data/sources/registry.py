"""The registry of named data sets, and `open_data`, which turns what the user typed into Splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from striate.core.errors import DataError, SettingsError
from striate.core.paths import is_there, user_path
from striate.core.registry import Registry, nearest
from striate.core.settings import DataSettings
from striate.data import split
from striate.data.class_names import class_notes
from striate.data.dataset import FileRecord, Splits, require_classes
from striate.data.find import search_roots
from striate.data.fixes import Fixes, apply_fixes, read_fixes
from striate.data.folds import require_one_fold, take_fold
from striate.data.sources.columns import SETTINGS as COLUMN_SETTINGS
from striate.data.sources.folder import load_folder
from striate.data.sources.resize import bring_to_size
from striate.data.sources.table import load_table
from striate.data.table_file import is_table

BEYOND_FIRST = "beyond the number asked for (--first)"  # why a picture is skipped


@dataclass(frozen=True)
class Source:
    """A named data set.

    Args:
        load: From (data_dir, options) to Splits; downloads what is missing.
        find: The folder that holds it on this machine, or None.
        summary: One line for `striate data list`.
        load_attribute: From what stands behind the colon ('Smiling' of 'celeba:Smiling', several with commas, or '')
            and the settings to Splits of the size they ask for; None where the colon is followed by classes.
        fetch: Downloads what is missing, where reading it all only for that would take long; `load` by default.
    """

    load: Callable[[Path | None], Splits]
    find: Callable[[Path | None], Path | None]
    summary: str
    load_attribute: Callable[[str, DataSettings], Splits] | None = None
    fetch: Callable[[Path | None], object] | None = None


SOURCES: Registry[Source] = Registry("data set")


def open_data(name: str, settings: DataSettings, seed: int, fixes: Fixes | None = None) -> Splits:
    """Return the data behind a name ('mnist', 'cifar10:airplane,bird'), a folder or a table, split and cut to size.

    Args:
        name: As the user typed it.
        settings: Which pictures, how they are read and split.
        seed: Of what is held out.
        fixes: What `settings.fixes` holds, where that has been read.

    Raises:
        DataError: The data are missing or unusable; the message says what to do.
        SettingsError: Settings that contradict each other, or that nothing here reads.
    """
    require_one_fold(settings)
    fixes = fixes or read_fixes(settings.fixes)
    splits = load_data(name, settings, fixes=fixes)
    if fixes is not None:
        splits = apply_fixes(splits, fixes)
    if settings.folds is not None and settings.fold is not None:
        splits = take_fold(splits, settings.folds, settings.fold, seed)
    else:
        split.require_enough_left(splits, settings.val_share, settings.test_share)
        splits = split.complete(splits, settings.val_share, settings.test_share, seed)
    if settings.first is not None:
        train = splits.train
        # the files of a folder come class by class, the rows of a table often, too
        few = train.first(settings.first) if splits.folder is None else train.spread(settings.first)
        splits = replace(splits, train=few)
    _check_trainable(splits)
    splits = replace(splits, notes=[*splits.notes, *class_notes(splits)])
    return replace(splits, files=_settled(splits)) if splits.files else splits


def load_data(name: str, settings: DataSettings, least: int = 2, fixes: Fixes | None = None) -> Splits:
    """Return the data behind a name, a folder or a table in the parts they come in, nothing held out.

    Args:
        name: 'mnist', 'mnist:3,8', a folder or a table.
        settings: Size, channels, where data sets are looked for.
        least: How many classes a subset of a named data set must have.
        fixes: What will be applied to them: the pictures that they exclude need not be readable.
    """
    if not name.strip():
        raise DataError(
            "an empty name is no data set", where="DATA", fix="give a folder, a table or a name: striate data list"
        )
    base, _, subset = name.partition(":")
    if settings.data_dir is not None and not is_there(settings.data_dir):
        to_be_fetched = base in SOURCES and SOURCES[base].find(settings.data_dir) is None  # which makes the folder
        if not to_be_fetched:
            raise DataError("no such folder", where=settings.data_dir, fix="check --data-dir")
    if base in SOURCES:
        _refuse_unread(settings, (*COLUMN_SETTINGS, "group"), name)
        splits = _load_source(base, subset.strip(), settings, least)
        if is_there(Path(name)):
            splits = replace(splits, notes=[*splits.notes, f"the data set '{name}', not the folder here: ./{name}"])
        return replace(splits, source=name)
    folder, subset = locate_folder(name, settings.data_dir)
    if folder is not None and is_table(folder):
        return load_table(folder, settings, subset_names(subset), fixes)
    if folder is not None:
        _refuse_unread(settings, COLUMN_SETTINGS, name)
        return load_folder(folder, settings, subset_names(subset), fixes)
    guess = nearest(base, SOURCES)
    hint = f"did you mean '{guess}'? " if guess else ""
    raise DataError(
        "no such data set or folder",
        where=name,
        fix=f"{hint}give a folder, a table, or one of {', '.join(SOURCES)}",
    )


def _refuse_unread(settings: DataSettings, unread: Sequence[str], name: str) -> None:
    given = [key for key in unread if getattr(settings, key) is not None]
    if given:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in given)
        readers = "a table" if "group" not in given else "a folder or a table"
        fix = f"leave them out, or name {readers}"
        if "group_column" in given and "group" not in unread:
            fix += r"; in a folder groups are found in the paths: --group 'patient\d+'"
        raise SettingsError(f"without effect: {options}", where=name, fix=fix)


def source_of(name: str, data_dir: Path | None) -> str:
    """Return what opens the data again from any working folder, as their `Splits.source` says it."""
    folder, subset = (None, "") if name.partition(":")[0] in SOURCES else locate_folder(name, data_dir)
    if folder is None:
        return name
    place = os.path.abspath(folder) if is_table(folder) else str(folder.resolve())
    classes = ",".join(subset_names(subset))
    return f"{place}:{classes}" if classes else place


def _load_source(name: str, subset: str, settings: DataSettings, least: int) -> Splits:
    source = SOURCES[name]
    if source.load_attribute is not None:
        return source.load_attribute(subset, settings)
    splits = source.load(settings.data_dir)
    if subset:
        require_classes(subset_names(subset), splits.classes, splits.name, least)
        splits = splits.only_classes(subset_names(subset))
    return bring_to_size(splits, settings)


def locate_folder(name: str, data_dir: Path | None) -> tuple[Path | None, str]:
    """Return the folder meant by 'FOLDER' or 'FOLDER:class,class', here or below the data folders, and the classes.

    A table is meant in the same way, by its path.
    """
    path = user_path(name)
    if is_there(path):
        return path, ""
    base, _, subset = name.rpartition(":")
    if base and is_there(user_path(base)):
        return user_path(base), subset
    if "/" in name or "\\" in name or name in (".", ".."):
        return path, ""  # meant as a path: what is wrong with it is told on reading
    base, _, subset = name.partition(":")
    below = (root / base for root in search_roots(data_dir))
    return next((folder for folder in below if is_there(folder) and folder.is_dir()), None), subset


def subset_names(subset: str) -> list[str]:
    """Return the names in 'cat, dog', each once."""
    return list(dict.fromkeys(name.strip() for name in subset.split(",") if name.strip()))


def _settled(splits: Splits) -> list[FileRecord]:
    """Return the files' records with the part that each picture came into in the end."""
    parts = {name: part for part, pictures in splits.parts().items() for name in pictures.names}

    def settled(record: FileRecord) -> FileRecord:
        part = parts.get(record.path)
        if record.status not in ("used", "fixed") or part == record.part:
            return record
        if part is None:
            return record._replace(status="skipped", reason=BEYOND_FIRST)
        return record._replace(part=part)

    return [settled(record) for record in splits.files]


def _check_trainable(splits: Splits) -> None:
    empty = [name for name, part in splits.parts().items() if not len(part)]
    if empty:
        raise DataError(
            f"no picture in the {' and '.join(empty)} part", where=splits.name, fix="add pictures, or remove the part"
        )
    counts = splits.train.class_counts()
    missing = [name for name, count in zip(splits.classes, counts, strict=True) if count == 0]
    if missing:
        raise DataError(
            f"no training picture of class {', '.join(missing)}",
            where=splits.name,
            fix="use more pictures (--first), or leave the class out",
        )
