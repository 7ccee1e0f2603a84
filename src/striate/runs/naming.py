"""What run folders are called: names that may be, names from the data, and the first that is free."""

from __future__ import annotations

import os
import re
from pathlib import Path

from striate.core.errors import SettingsError
from striate.core.paths import is_there, to_type, user_path
from striate.runs.model_file import NAME as MODEL

LONGEST_NAME = 200  # bytes; file systems stop at 255
_FORBIDDEN = re.compile(r"[\x00-\x1f/\\]|^\.|^-|\.tmp-|^\s*$")


def folder_name(data: str) -> str:
    """Return a run's default name from what the user called the data: 'cifar10:cat,dog' → 'cifar10-cat-dog'."""
    path = user_path(data)
    here = path.resolve() if is_there(path) else None
    base = data if here is None else here.name if here.is_dir() else here.stem  # of a table without its suffix
    return re.sub(r"[^\w.-]+", "-", base).strip("-.") or "run"


def require_name(out: Path, name: str | None) -> None:
    """Refuse what cannot be a run folder's name, or no place for one: SettingsError. None is a name to be found."""
    if name is not None and (_FORBIDDEN.search(name) or len(os.fsencode(name)) > LONGEST_NAME):
        fix = f"use letters, digits, '-' and '_', {LONGEST_NAME} at most"
        raise SettingsError("not a name for a run folder", where=repr(name), fix=fix)
    if str(out).startswith("~"):  # what is left of it where there is no such user
        raise SettingsError("no such user's home folder", where=out, fix="write the path out, or './~…'")
    place = next((one for one in (out, *out.parents) if is_there(one)), None)
    if place is not None and not place.is_dir():
        raise SettingsError("is a file, not a folder", where=place, fix="name a folder with --out")


def require_free_name(out: Path, name: str | None) -> None:
    """Refuse what `claim` and `require_name` would refuse, before anything is read: SettingsError."""
    require_name(out, name)
    if name is not None and is_there(out / name):
        raise taken(out / name)


def taken(path: Path) -> SettingsError:
    """Return the error that a name is taken, with what there is to do about it: only what is unfinished can go on."""
    fix = "use another --name, or none: runs without one are numbered"
    if is_there(path / "config.json") and not is_there(path / MODEL):
        fix = f"use another --name, or go on with  {to_type('striate', 'train', '--resume', path)}"
    return SettingsError("run folder exists", where=path, fix=fix)


def claim(temporary: Path, out: Path, name: str | None, default_name: str) -> Path:
    """Rename a prepared folder to its final name, and return its path; the rename fails where a run is already there.

    Without a name the first free of 'default', 'default-2', 'default-3' … is taken.

    Raises:
        SettingsError: The name is taken.
        OSError: The folder cannot be renamed.
    """
    number = 1
    while True:
        path = out / (name or (default_name if number == 1 else f"{default_name}-{number}"))
        try:
            if path.exists():  # an empty folder would be replaced silently
                raise FileExistsError
            temporary.rename(path)
            return path
        except OSError as error:
            if not path.exists():
                raise error
            if name is not None:
                raise taken(path) from None
            number += 1
