"""Ctrl-C and SIGTERM while a file is made that is there as a whole or not at all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from striate.core.errors import Interrupted
from striate.training.interrupt import handling


class _Stop(BaseException):  # not an Exception: what goes on without an engine that fails must not go on after this
    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def stopping(file: Path) -> Iterator[None]:
    """Let a signal end what makes a file; a second one ends the program as the system does.

    Args:
        file: What there is only when all of it is done.

    Raises:
        Interrupted: On the first signal.
    """

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise _Stop(number)

    try:
        with handling(stop):
            yield
    except _Stop as asked:
        told = "is written" if os.path.lexists(file) else "was not written"
        raise Interrupted(asked.number, f"stopped: {file} {told}") from None
