"""Memory: asking for it before it is taken, and keeping what a training step frees and takes again and again."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
from contextlib import suppress
from pathlib import Path

from striate.core.errors import ResourceError

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell the C library to keep large freed blocks for the next request; return whether it could be told.

    By default glibc gives every block over some megabytes back to the system, so each step's activations
    are new pages, cleared and mapped by the kernel one at a time: about an eighth of a step of the
    default network. Only the peak, which is needed in any case, stays taken until the process ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    options = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28))
    return all(libc.mallopt(option, value) == 1 for option, value in options)


def require_memory(needed: int, what: str, *, where: object, fix: str, free: int | None = None) -> None:
    """Refuse work that the free memory cannot hold, before it is begun.

    Args:
        needed: Bytes.
        what: What needs them, the subject of the message: '1,000 pictures of 224 × 224'.
        free: Bytes of another memory than the machine's own.

    Raises:
        ResourceError: More is needed than is free; a system that does not tell refuses nothing.
    """
    free = free_memory() if free is None else free
    if free is not None and needed > free:
        raise ResourceError(
            f"{what} need {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free", where=where, fix=fix
        )


def resident_memory() -> int:
    """Return the bytes that this process holds now; where the system does not tell, the most it has held."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_memory()


def peak_memory() -> int:
    """Return the most bytes that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory() -> int | None:
    """Return the bytes this process may still take, None where the system does not tell.

    In a container that is what its control group leaves, caches that can be given up included.
    """
    limits = []
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
        limits.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError, StopIteration):
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        caches = (line for line in (group / "memory.stat").read_text().splitlines() if line.startswith("inactive_file"))
        limits.append(int((group / "memory.max").read_text()) - used + int(next(caches).split()[1]))
    return min(limits, default=None)
