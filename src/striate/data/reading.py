"""Where the reading of files stands right now: written by who reads, looked at by who shows it.

As with a run's progress (runs/progress.py) nothing is called back: a display looks at `READING` when it wants to. There
is one for the process, as there is one disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Reading:
    """The state of reading a folder.

    Args:
        found: Picture files found since listing began; none is being listed where it is 0.
        total, done: Files to be decoded and those that are; none are being decoded where the total is 0.
        started: When decoding began (time.monotonic).
        fetched: The address that is being fetched; nothing is where it is empty.
    """

    found: int = 0
    total: int = 0
    done: int = 0
    started: float = 0.0
    fetched: str = ""

    @contextmanager
    def listing(self) -> Iterator[None]:
        """Say that files are looked for."""
        self.found = 0
        try:
            yield
        finally:
            self.found = 0

    @contextmanager
    def fetching(self, address: str) -> Iterator[None]:
        """Say that a file is fetched from this address."""
        self.fetched = address
        try:
            yield
        finally:
            self.fetched = ""

    @contextmanager
    def decoding(self, total: int) -> Iterator[None]:
        """Say that so many files are decoded."""
        self.total, self.done, self.started = total, 0, time.monotonic()
        try:
            yield
        finally:
            self.total = 0

    def seconds_left(self) -> float:
        """Return the expected time until all are decoded, in seconds."""
        taken = time.monotonic() - self.started
        return (self.total - self.done) * taken / self.done if self.done else float("inf")


READING = Reading()
