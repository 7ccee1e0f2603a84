"""Paths as a user types them."""

from __future__ import annotations

import shlex
from pathlib import Path

from striate.core.errors import SettingsError


def user_path(typed: str | Path) -> Path:
    """Return a path with '~' replaced by the home folder.

    Raises:
        SettingsError: There is no such user, or the text cannot be a path.
    """
    if "\0" in str(typed):
        raise SettingsError("a path cannot contain a zero byte", where=repr(str(typed)), fix="check the path")
    try:
        return Path(typed).expanduser()
    except RuntimeError:  # pathlib's word for an unknown user
        raise SettingsError("no such user's home folder", where=typed, fix="write the path out, or './~…'") from None


def is_there(path: Path) -> bool:
    """Return whether a path exists; one that the system cannot even look up does not."""
    try:
        return path.exists()
    except OSError:  # too long, or in a folder that may not be entered
        return False


def to_type(*words: object) -> str:
    """Return a command for the user to type, quoted for the shell."""
    return shlex.join(str(word) for word in words)
