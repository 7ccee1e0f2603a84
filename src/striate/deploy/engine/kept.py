"""What engines keep between runs, beside the decoded pictures: exported graphs, and what races came to.

Each file begins with the SHA-256 of its name and of what follows. What is damaged, or lies under another's name, is as
if it were not there. Nothing depends on the folder being writable.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from striate.data.cache import cache_folder
from striate.runs.atomic import write_durably
from striate.version import __version__

LIMIT = 2 * 2**30  # bytes of all that is kept
_DIGEST = hashlib.sha256().digest_size


def digest_of(packages: Iterable[str], values: Sequence[object]) -> str:
    """Return a name for what depends on values and on versions of packages, ours included."""
    versions = [f"{name} {_version(name)}" for name in packages]
    told = "\n".join([f"striate {__version__}", *versions, *map(repr, values)])
    return hashlib.sha256(told.encode()).hexdigest()[:40]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def folder() -> Path | None:
    """Return where engines keep what they keep; None without a home."""
    pictures = cache_folder()
    return None if pictures is None else pictures.parent / "engines"


def kept(name: str) -> bytes | None:
    """Return what is kept under a name, None where there is nothing, or it is damaged."""
    place = folder()
    if place is None:
        return None
    try:
        data = (place / name).read_bytes()
    except OSError:
        return None
    if data[:_DIGEST] != _digest(name, data[_DIGEST:]):
        return None
    with suppress(OSError):
        os.utime(place / name)  # used last
    return data[_DIGEST:]


def keep(name: str, data: bytes) -> None:
    """Keep bytes under a name, where that is possible; others make room, those unused for longest first."""
    place = folder()
    if place is None:
        return
    unfinished = place / f"{name}.{os.getpid()}-{threading.get_ident()}.unfinished"
    with suppress(OSError):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            write_durably(unfinished, _digest(name, data) + data)
            os.replace(unfinished, place / name)
        finally:
            unfinished.unlink(missing_ok=True)
        _evict(place, name)


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def _evict(place: Path, used: str) -> None:
    found = [(path.stat(), path) for path in place.iterdir() if path.name != used]
    room = LIMIT - (place / used).stat().st_size
    for status, path in sorted(found, key=lambda one: one[0].st_mtime, reverse=True):
        room -= status.st_size
        if room < 0:
            path.unlink(missing_ok=True)
