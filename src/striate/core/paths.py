"""Paths that users give: what the system says of them, as our errors."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path

from striate.core.errors import SettingsError, StriateError


def user_path(value: object, accepted: str) -> Path:
    """Return the path that a user gave, with '~' expanded where there is such a user.

    Args:
        value: A str or path object.
        accepted: What may be given here, for the message.

    Raises:
        SettingsError: It is no path, or an empty one.
    """
    named = os.fsdecode(value) if isinstance(value, str | os.PathLike) else ""
    if not named:
        raise SettingsError(f"{reprlib.repr(value)} is not a path", fix=f"give {accepted}")
    try:
        return Path(named).expanduser()
    except (RuntimeError, ValueError):  # no such user
        return Path(named)


def file_status(path: Path, kind: type[StriateError]) -> os.stat_result | None:
    """Return the system's record of what is at a path, None where nothing is; `kind` is raised where it cannot say."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a character that no path can hold
        reason = error.strerror if isinstance(error, OSError) else error
        raise kind(f"path cannot be used ({reason})", where=path, fix="check the path and its permissions") from None
