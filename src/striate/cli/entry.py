"""The program `striate`: what must be in order before the first import that takes time."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import threading
from typing import IO, Any, NoReturn

from striate.core import clock


class _Lenient:
    """A stream for messages: that they cannot be written is no reason to stop the work.

    Args:
        stream: What to write to; everything but writing is its own.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Pass on what can be passed on."""
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run() -> None:
    """Run the command line and exit with its code."""
    clock.begin_program()
    # until training begins there is nothing to save: the system's own way of ending is the quickest, and silent
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    nowhere = io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or nowhere  # None where the caller closed it
    sys.stderr = _Lenient(sys.stderr or nowhere)
    from striate.cli.main import main

    leave(main(sys.argv[1:]))


def leave(status: int) -> NoReturn:
    """End the program as Python does, but let the system take its memory as a whole.

    To free hundreds of thousands of objects one by one takes Python half a second. What others have registered for
    the end is done; where a thread is still at work or somebody traces the program, it ends in the usual way.
    """
    threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if sys.gettrace() or sys.getprofile() or not all(thread.daemon for thread in threads):
        sys.exit(status)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(status)  # which knows what to say of that
    os._exit(status)


if __name__ == "__main__":
    run()
