"""Paths as users type them: what the system says of them, as our errors."""

from __future__ import annotations

import os
import reprlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from striate.core.errors import SettingsError, StriateError

STDIN = "/dev/stdin"  # what '-' is spelt out as on the command line


def user_path(typed: object, accepted: str = "a path") -> Path:
    """Return the path that a user gave, with '~' replaced by the home folder where there is such a user.

    Args:
        typed: A str or path object.
        accepted: What may be given here, for the message.

    Raises:
        SettingsError: It is no path, or an empty one.
    """
    named = os.fsdecode(typed) if isinstance(typed, str | os.PathLike) else ""
    if not named:
        raise SettingsError(f"{reprlib.repr(typed)} is not a path", fix=f"give {accepted}")
    try:
        return Path(named).expanduser()
    except (RuntimeError, ValueError):  # no such user: nothing will be found there
        return Path(named)


def is_there(path: Path) -> bool:
    """Return whether a path exists; one that the system cannot even look up does not."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, in a folder that may not be entered, with a zero byte
        return False


def file_status(path: Path, kind: type[StriateError]) -> os.stat_result | None:
    """Return the system's record of what is at a path, None where nothing is; `kind` is raised where it cannot say."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a character that no path can hold
        reason = error.strerror if isinstance(error, OSError) else error
        raise kind(f"path cannot be used ({reason})", where=path, fix="check the path and its permissions") from None


def tell_apart(paths: Sequence[Path]) -> list[str]:
    """Return each path's shortest end that no other of the paths has; equal paths get equal texts."""

    def end(path: Path, length: int) -> tuple[str, ...]:
        return path.parts[-length:]

    def shortest(path: Path) -> str:
        others = {other for other in paths if other != path}
        lengths = range(1, len(path.parts))
        length = next((n for n in lengths if all(end(path, n) != end(o, n) for o in others)), len(path.parts))
        return str(Path(*end(path, length)))

    return [shortest(path) for path in paths]


def to_type(*words: object) -> str:
    """Return a command for the user to type, quoted for the shell, whatever bytes its file names have."""
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    letters = (
        chr(byte) if 32 < byte < 127 and byte not in b"'\\\\" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(letters)}'"  # POSIX 2024
