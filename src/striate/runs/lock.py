"""Who works in a run folder: one process at a time; and the newest unfinished one that nobody works in."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from striate.core.errors import ResourceError, SettingsError
from striate.runs.atomic import naming_disk_errors

NAME = ".lock"


def hold(folder: Path) -> int:
    """Return the descriptor by which this process holds a folder until it is closed.

    Raises:
        ResourceError: Another process holds it, or it cannot be written.
    """
    with naming_disk_errors(folder / NAME, 0):
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ResourceError(
            "another process is training in this run folder", where=folder, fix="wait for it, or use another --name"
        ) from None
    return descriptor


def is_held(folder: Path) -> bool:
    """Return whether a process works in the folder."""
    try:
        with open(folder / NAME, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock yet, or not ours to open: resuming it will tell
        return False
    return False


def newest_unfinished(out: Path) -> Path:
    """Return the unfinished run in `out` that was changed last and that no process is training.

    Raises:
        SettingsError: There is none.
    """
    candidates = [path.parent for path in out.glob("*/config.json")]
    ends = ("model.safetensors", "diverged.json")
    unfinished = [path for path in candidates if not any((path / end).exists() for end in ends)]
    free = [path for path in unfinished if not is_held(path)]
    if not free:
        held = f" ({len(unfinished)} are being trained now)" if unfinished else ""
        raise SettingsError(f"no unfinished run to resume{held}", where=out, fix="name one: --resume RUN")
    return max(free, key=lambda path: path.stat().st_mtime)
