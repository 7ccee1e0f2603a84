"""What a server's processes hold and use, read from Linux's /proc."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat behind the name, which may hold anything; None where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, itself first; zombies are none."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))) is not None and fields[0] != "Z":
            parents[int(entry)] = int(fields[1])
    members = [pid] if pid in parents else []
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return members


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and all that descend from it; what they share counts for each."""
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * _PAGE
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process and all that descend from it, without those that have ended."""
    fields = (_stat(member) for member in family(pid))
    return sum((int(one[11]) + int(one[12])) / _TICKS for one in fields if one is not None)


def is_computing(pid: int) -> bool:
    """Return whether a process is on a processor, or waits for one."""
    fields = _stat(pid)
    return fields is not None and fields[0] == "R"


def open_files(pid: int) -> int:
    """Return how many file descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def kill_family(pid: int) -> None:
    """End a process and all that descend from it at once."""
    for member in family(pid):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue
