"""time.json: what a run took, from the start of the command to its measured network.

A run that went on counts what the processes before had used when its checkpoint was written, as a time budget does;
what a kill made to be done again counts once.
"""

from __future__ import annotations

import json
from pathlib import Path

from striate.core import clock

NAME = "time.json"
DIGITS = 3


class Spent:
    """The time of one run, all its processes together.

    Args:
        started: When this process began with the run (`clock.now`); by default now.
    """

    def __init__(self, started: float | None = None) -> None:
        self.started = clock.now() if started is None else started
        self.before = 0.0  # seconds of earlier processes

    def seconds(self) -> float:
        """Return the seconds until now."""
        return round(self.before + clock.now() - self.started, DIGITS)


def read_seconds(folder: Path) -> float | None:
    """Return what a finished run took; None where its folder does not say, as those of older versions."""
    try:
        seconds = json.loads((folder / NAME).read_bytes())["seconds"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return float(seconds) if isinstance(seconds, int | float) else None
