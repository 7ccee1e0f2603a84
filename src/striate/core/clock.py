"""The clock: every decision that depends on time reads it here, so that a test can put another in its place."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

LONGEST_START = 15.0  # seconds that Python may take to come this far on a busy machine

_imported = time.monotonic()
_began: float | None = None


def now() -> float:
    """Return seconds since some moment in the past; it is never set back."""
    return time.monotonic()


def begin_program() -> None:
    """Count this process's work from its start; for the program `striate`, whose user waits from then on."""
    global _began
    _began = process_start()


def began() -> float:
    """Return when the program `striate` began; in a process of somebody else's it begins now."""
    return now() if _began is None else _began


def is_program() -> bool:
    """Return whether this process is the program `striate`, and so all ours."""
    return _began is not None


def process_start() -> float:
    """Return when this process began: on Linux by the system's record, elsewhere when this module was imported."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            record = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
            since_boot = int(record[19]) / os.sysconf("SC_CLK_TCK")
            started = time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
            # a shell that became this program by exec hands down its own start
            if _imported - started <= LONGEST_START:
                return started
    return _imported
