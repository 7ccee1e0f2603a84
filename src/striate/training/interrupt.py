"""Ctrl-C and SIGTERM while a run is at work: finish the step and save; asked again, stop at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from striate.core.errors import Interrupted
from striate.core.paths import to_type
from striate.runs.folder import Run


@contextmanager
def finishing_the_step(run: Run) -> Iterator[None]:
    """While training, let the first signal ask the loop to stop after its step, and a second one stop it at once.

    Signals reach a process's main thread only; elsewhere this does nothing.
    """

    def stop(number: int, _: FrameType | None) -> None:
        if run.stop_signal is not None:
            raise _stopped(run, number, "stopped at once; the newest checkpoint is kept")
        run.stop_signal = number
        # not print: the handler may have interrupted one
        os.write(2, b"\nstopping after this step; again: at once\n")

    with handling(stop):
        yield


@contextmanager
def at_once(run: Run) -> Iterator[None]:
    """While measuring, let a signal stop it: the training has been saved, and the measuring can be done again."""

    def stop(number: int, _: FrameType | None) -> None:
        raise _stopped(run, number, "stopped while measuring; the training is done and saved")

    with handling(stop):
        yield


def _stopped(run: Run, number: int, what: str) -> Interrupted:
    return Interrupted(number, what, fix=to_type("striate", "train", "--resume", run.path))


@contextmanager
def handling(stop: signal._HANDLER) -> Iterator[None]:
    """Let `stop` answer Ctrl-C and SIGTERM for a while; only the main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
