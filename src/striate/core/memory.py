"""Memory: how much is free, and keeping what was freed.

A training step frees and takes the same few large blocks again and again.
"""

from __future__ import annotations

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def free_memory() -> int | None:
    """Return the bytes of memory that are free now, or None on a system that does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


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
