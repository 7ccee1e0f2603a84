"""Writing so that a kill or a power cut leaves either the old state or the new one, never half of it."""

from __future__ import annotations

import csv
import errno
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from striate.core.errors import ResourceError

AGAIN = "free some space and repeat the command"
GO_ON = f"{AGAIN}; a run goes on with  striate train --resume"


def remedy(number: int | None, full: str = AGAIN, other: str = "check the path and its permissions") -> str:
    """Return what to do about an error of the disk.

    Args:
        number: The system's, errno.
        full: What to do where the disk is full.
        other: What to do about all else.
    """
    if number in (errno.ENOSPC, errno.EDQUOT):
        return full
    if number == errno.EFBIG:
        return "a limit on the size of files is set here: raise it (ulimit -f unlimited), and repeat the command"
    return "use a shorter path" if number == errno.ENAMETOOLONG else other


def sync_directory(folder: Path) -> None:
    """Make the folder's entries durable: a rename is not on disk before its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until its bytes are on disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, full: str = GO_ON) -> None:
    """Put `data` in place of the file at `path`, all at once; `full` is what to do where the disk is full."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    with naming_disk_errors(path, len(data), full):
        try:
            write_durably(temporary, data)
            os.replace(temporary, path)
            sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def replace_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Put a CSV table, the header its first row, in place of the file at `path`; odd bytes in file names survive."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    replace_file(path, text.getvalue().encode("utf-8", "surrogateescape"))


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that gets its name when all of it is on disk; a file of that name is never replaced.

    Where the system can, it has no name until then: whatever ends the program leaves nothing behind.

    Raises:
        FileExistsError: There is a file of that name by then.
        OSError: It cannot be written.
    """
    try:
        descriptor, written = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o666), None
    except (AttributeError, OSError):  # another system, or a file system that cannot
        written = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        descriptor = os.open(written, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # the folder's number, of no use to an absolute path, makes Python follow the link to the file
            os.link(written or f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=None if written else file.fileno())
        sync_directory(path.parent)
    finally:
        if written is not None:
            written.unlink(missing_ok=True)


@contextmanager
def naming_disk_errors(path: Path, needed: int, full: str = GO_ON) -> Iterator[None]:
    """Turn an error of the disk into a ResourceError that names the place, the need and what is free."""
    try:
        yield
    except ResourceError:
        raise
    except OSError as error:
        try:
            free = f", {shutil.disk_usage(path.parent).free:,} bytes free"
        except OSError:
            free = ""
        raise ResourceError(
            f"cannot write {needed:,} bytes ({error.strerror}{free})",
            where=path,
            fix=remedy(error.errno, full),
        ) from None
