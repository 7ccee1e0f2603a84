"""The log: one JSON object a line, written by a thread of its own, so that a reader who stops holds up no request."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, Any

MOST_LINES = 20_000  # that wait to be written; more are lost and counted
PAUSE = 0.1  # seconds between two writings


class Log:
    """Takes lines without waiting for whoever reads them.

    Args:
        stream: Where they go.
        lost: Told how many lines were dropped.
    """

    def __init__(self, stream: IO[str] | None = None, lost: Callable[[int], None] = lambda count: None) -> None:
        self._stream = stream or sys.stderr
        self._lost = lost
        self._lines: deque[str] = deque()
        self._closing = threading.Event()
        self._second, self._stamp = -1, ""
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def event(self, name: str, level: str = "info", **values: Any) -> None:
        """Write what has happened: {"time": …, "level": …, "event": name, …}."""
        rest = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
        self._put(f'{{"time": "{self._now()}", "level": "{level}", "event": {json.dumps(name)}{rest}}}\n')

    def request(
        self, request_id: str, method: str, path: str, status: int, seconds: float, pictures: int, client: str
    ) -> None:
        """Write that a request was answered; the arguments are safe to stand in JSON but for the path."""
        self._put(
            f'{{"time": "{self._now()}", "level": "{"error" if status >= 500 else "info"}", "event": "request", '
            f'"request_id": "{request_id}", "client": "{client}", "method": "{method}", "path": {json.dumps(path)}, '
            f'"status": {status}, "ms": {1000 * seconds:.2f}, "pictures": {pictures}}}\n'
        )

    def close(self, timeout: float = 1.0) -> None:
        """Write what is left, if it is taken in time."""
        self._closing.set()
        self._thread.join(timeout)

    def _put(self, line: str) -> None:
        if len(self._lines) < MOST_LINES:
            self._lines.append(line)
        else:
            self._lost(1)

    def _now(self) -> str:
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return f"{self._stamp}.{int(now * 1000) % 1000:03}Z"

    def _write(self) -> None:
        last = False
        while not last:
            last = self._closing.wait(PAUSE)
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                try:
                    self._stream.write("".join(lines))
                    self._stream.flush()
                except (OSError, ValueError):  # whoever read it has gone: the server goes on
                    self._lost(len(lines))


class Handler(logging.Handler):
    """Brings what libraries log into our log.

    Args:
        log: Ours.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record with its traceback."""
        told = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            told["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._log.event("library", record.levelname.lower(), **told)
