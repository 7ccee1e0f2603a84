"""Where a command must not write: among the pictures that it was given, or that its runs were."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from striate.core.errors import StriateError
from striate.core.paths import is_there, user_path
from striate.data.sources.apart import picture_folder
from striate.runs.config import NAME as CONFIG
from striate.runs.config import read_config
from striate.runs.folds_folder import fold_runs


def picture_folders(data: str | None, data_dir: Path | None, runs: Iterable[Path] = ()) -> list[Path]:
    """Return the folders of the pictures that a command reads, and of those that runs were made from.

    Args:
        data: What the user typed, if anything.
        data_dir: Folder that holds data sets by name.
        runs: Run folders, folders of folds, or model files.
    """
    found = [picture_folder(data, data_dir), *(picture_folder(of_run) for run in runs for of_run in _data(run))]
    return [folder for folder in found if folder is not None]


def _data(run: Path) -> list[str]:
    """Return what a run was made from; nothing where it cannot be read, which is told where it is opened."""
    path = user_path(run)
    places = [path, path.parent] if path.is_file() else [path, *fold_runs(path)]
    told = []
    for place in places:
        with suppress(StriateError, OSError):
            told += [read_config(place).data] if is_there(place / CONFIG) else []
    return told
