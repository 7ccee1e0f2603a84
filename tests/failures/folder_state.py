"""Everything about a folder that a program could change, in one value."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return mode, size, time of change and content of everything below a folder, links as links; pipes unopened."""
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files, "."]:
            path = Path(place, name)
            status = path.lstat()
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode) and status.st_size < 2**26:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return found
