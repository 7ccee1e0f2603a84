"""A striate command run on a terminal of its own, and interrupted as Ctrl-C does it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Outcome:
    """How a command on a terminal went.

    Args:
        code: Its exit code, negative for a signal.
        seconds: From its start to its end.
        after_signal: From the signal to its end.
        memory: The most that one of its processes held, MiB.
        shown: What came on the terminal.
    """

    code: int
    seconds: float
    after_signal: float
    memory: int
    shown: str


def on_a_terminal(
    arguments: list[str], environment: dict[str, str], stop: Callable[[float, str], bool] = lambda *_: False
) -> Outcome:
    """Run striate with a terminal for its messages; send SIGINT once `stop(seconds, shown)` says so."""
    leader, follower = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "striate.cli.entry", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower, start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
    )  # fmt: skip
    os.close(follower)
    shown, stopped = b"", None
    while True:
        if select.select([leader], [], [], 0.02)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:  # the last process that wrote there has gone
                break
        if stopped is None and stop(time.monotonic() - began, shown.decode(errors="replace")):
            stopped = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the whole group
    _, status, usage = os.wait4(process.pid, 0)
    ended = time.monotonic()
    os.close(leader)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Outcome(
        process.returncode, ended - began, ended - (stopped or ended), usage.ru_maxrss // 1024, shown.decode()
    )
