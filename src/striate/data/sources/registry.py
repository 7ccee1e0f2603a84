"""The registry of named data sets, and `open_data`, which turns what the user typed into Splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from striate.core.errors import DataError, SettingsError
from striate.core.registry import Registry, nearest
from striate.core.settings import DataSettings
from striate.data import split
from striate.data.dataset import Splits
from striate.data.sources.folder import load_folder
from striate.data.sources.resize import bring_to_size


@dataclass(frozen=True)
class Source:
    """A named data set.

    Args:
        load: From (data_dir, options) to Splits; downloads what is missing.
        find: The folder that holds it on this machine, or None.
        summary: One line for `striate data list`.
        load_attribute: From what stands behind the colon ('Smiling' of 'celeba:Smiling', or '') and the settings
            to Splits of the size they ask for; None where the colon is followed by classes.
        fetch: Downloads what is missing, where reading it all only for that would take long; `load` by default.
    """

    load: Callable[[Path | None], Splits]
    find: Callable[[Path | None], Path | None]
    summary: str
    load_attribute: Callable[[str, DataSettings], Splits] | None = None
    fetch: Callable[[Path | None], object] | None = None


SOURCES: Registry[Source] = Registry("data set")


def open_data(name: str, settings: DataSettings, seed: int) -> Splits:
    """Return the data behind a name ('mnist', 'cifar10:airplane,bird') or a folder, split and cut to size.

    Raises:
        DataError: The data are missing or unusable; the message says what to do.
    """
    splits = load_data(name, settings)
    splits = split.complete(splits, settings.val_share, settings.test_share, seed)
    if settings.first is not None:
        splits = replace(splits, train=splits.train.first(settings.first))
    _check_trainable(splits)
    return splits


def load_data(name: str, settings: DataSettings) -> Splits:
    """Return the data behind a name or a folder in the parts they come in, nothing held out."""
    if not name.strip():
        raise DataError("an empty name is no data set", where="DATA", fix="give a folder or a name: striate data list")
    base, _, subset = name.partition(":")
    if base in SOURCES:
        source = SOURCES[base]
        if source.load_attribute is not None:
            return source.load_attribute(subset.strip(), settings)
        splits = bring_to_size(source.load(settings.data_dir), settings)
        return _class_subset(splits, subset) if subset else splits
    path = Path(name).expanduser()
    if path.exists() or "/" in name or "\\" in name or name in (".", ".."):
        return load_folder(path, settings)
    guess = nearest(base, SOURCES)
    hint = f"did you mean '{guess}'? " if guess else ""
    raise DataError(
        "no such data set or folder",
        where=name,
        fix=f"{hint}give a folder, or one of {', '.join(SOURCES)}",
    )


def _class_subset(splits: Splits, subset: str) -> Splits:
    wanted = [part.strip() for part in subset.split(",") if part.strip()]
    unknown = [part for part in wanted if part not in splits.classes]
    if unknown:
        known = ", ".join(splits.classes)
        raise SettingsError(f"{splits.name} has no class", where=", ".join(unknown), fix=f"its classes are: {known}")
    if len(set(wanted)) < 2:
        raise SettingsError(
            "a class subset needs at least two different classes",
            where=f"{splits.name}:{subset}",
            fix=f"write e.g. {splits.name}:{splits.classes[0]},{splits.classes[1]}",
        )
    return splits.only_classes(list(dict.fromkeys(wanted)))


def _check_trainable(splits: Splits) -> None:
    counts = splits.train.class_counts()
    missing = [name for name, count in zip(splits.classes, counts, strict=True) if count == 0]
    if missing:
        raise DataError(
            f"no training picture of class {', '.join(missing)}",
            where=splits.name,
            fix="use more pictures (--first), or leave the class out",
        )
