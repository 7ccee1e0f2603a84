"""Keeping results and pictures apart: what is written among pictures would be one of them the next time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from striate.core.errors import SettingsError
from striate.core.paths import user_path
from striate.data.sources.registry import SOURCES, locate_folder
from striate.data.sources.scan import find_parts, holds_runs, is_hidden


def picture_folder(data: str | None, data_dir: Path | None = None) -> Path | None:
    """Return the folder of pictures behind what the user typed; None for a data set by name, a table, or nothing."""
    if not data or data.partition(":")[0] in SOURCES:
        return None
    folder = locate_folder(data, data_dir)[0]
    return folder if folder is not None and folder.is_dir() else None


def require_apart(path: Path, folders: Iterable[Path | None]) -> None:
    """Refuse to write a file or folder among pictures; a run folder that lies there takes what belongs to it.

    Args:
        path: What is to be written.
        folders: Of pictures.

    Raises:
        SettingsError: It would lie in one of them.
    """
    place = user_path(path).resolve()
    for folder in folders:
        if folder is not None and _inside(place, folder.resolve()) and not _in_runs(place, folder.resolve()):
            raise SettingsError(
                "lies among the pictures, which are never added to", where=path, fix="give a place elsewhere"
            )


def require_runs_apart(out: Path, folder: Path | None) -> None:
    """Refuse a folder of runs that would be taken for a class of pictures, or for part of one.

    Beside the classes, runs are known by what is in them (`striate train .` within the folder of pictures).

    Raises:
        SettingsError: It would be neither beside the classes nor elsewhere.
    """
    place = user_path(out).resolve()
    if folder is None or not _inside(place, folder.resolve()):
        return
    beside = [level for level in _levels(folder.resolve()) if _inside(place, level)]
    below = place.relative_to(beside[-1]).parts
    first = beside[-1].joinpath(*below[:1])
    if not below or is_hidden(first.name) or (holds_runs(first) if first.exists() else len(below) == 1):
        return
    raise SettingsError(
        "lies in a class folder, where results would be taken for pictures",
        where=out,
        fix="give another --out, elsewhere",
    )


def _inside(place: Path, folder: Path) -> bool:
    return folder in (place, *place.parents)


def _levels(folder: Path) -> list[Path]:
    """Return the folders in which class folders lie: the folder itself, and those of its parts."""
    return [folder, *(part for part in find_parts(folder, []).values() if part != folder)]


def _in_runs(place: Path, folder: Path) -> bool:
    levels = _levels(folder)
    return any(here.parent in levels and holds_runs(here) for here in (place, *place.parents))
