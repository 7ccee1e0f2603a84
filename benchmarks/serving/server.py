"""A server as a process of its own, from its start to its end."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.serving.processes import kill_family, processor_seconds, resident_bytes
from benchmarks.serving.questions import Question
from benchmarks.serving.replies import NotHTTPError, Reply, read_reply

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]


class ServerFailedError(RuntimeError):
    """A server ended, or was not ready in time; the message holds what it said."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def exchange(port: int, request: bytes, seconds: float = 30.0) -> Reply | None:
    """Send bytes on a connection of their own and return the answer; None where there is none.

    Raises:
        TimeoutError: Neither answered nor closed in time.
    """
    with socket.create_connection((HOST, port), seconds) as connection:
        deadline = time.monotonic() + seconds
        with suppress(BrokenPipeError, ConnectionResetError):  # refused early, perhaps with an answer
            connection.sendall(request)
        data = b""
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = connection.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
            with suppress(NotHTTPError):
                if (reply := read_reply(data)) is not None:
                    return reply


def get(port: int, path: str, seconds: float = 30.0) -> Reply | None:
    """Return the answer to GET `path`."""
    return exchange(port, f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode(), seconds)


class Server:
    """A program that serves at a port of 127.0.0.1, as a context manager; its end is the end of all its processes.

    Args:
        module: What `python -m` runs.
        arguments: Its options; {port} stands for the port.
        ready: A question; the server is ready once it answers it rightly.
        environment: Added to that of this process.
        ready_path: What is to answer 200, too, before it is.
        patience: Seconds it has until then.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[object],
        ready: Question,
        environment: Mapping[str, str] | None = None,
        ready_path: str | None = None,
        patience: float = 180.0,
    ) -> None:
        self.port = free_port()
        told = [str(argument).replace("{port}", str(self.port)) for argument in arguments]
        self.command = [sys.executable, "-m", module, *told]
        self.ready, self.environment = ready, dict(environment or {})
        self.ready_path, self.patience = ready_path, patience
        self.process: subprocess.Popen[bytes]
        self.gone_after = math.nan  # seconds from SIGTERM to its end, for whoever sent it

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self._folder = tempfile.TemporaryDirectory()
        self.log = Path(self._folder.name, "stderr")
        self.out = Path(self._folder.name, "stdout")
        self.started = time.monotonic()
        with self.log.open("wb") as err, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env={**os.environ, **self.environment},
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def _wait(self) -> None:
        limit = self.started + self.patience
        reason = "it did not answer"
        while time.monotonic() < limit and self.process.poll() is None:
            with suppress(OSError):
                reply = exchange(self.port, self.ready.request())
                if reply is not None and reply.status == 200:
                    if not self.ready.is_answered_by(reply.body):
                        raise ServerFailedError(f"a wrong answer: {reply.body[:500]!r}; {self.ready.probabilities}")
                    reply = None if self.ready_path is None else get(self.port, self.ready_path)
                    if self.ready_path is None or (reply is not None and reply.status == 200):
                        self.ready_after = time.monotonic() - self.started
                        return
                reason = f"its last answer: {reply}"
            time.sleep(0.05)
        raise ServerFailedError(f"{' '.join(self.command)}: {reason}; {self.said()[-3000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all its processes."""
        self._end()

    def _end(self) -> None:
        kill_family(self.process.pid)
        self.process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self.process.pid

    def said(self) -> str:
        """Return all that it has written to stderr."""
        return self.log.read_text(errors="replace")

    def logged(self) -> list[dict[str, Any]]:
        """Return the JSON objects among the lines of stderr."""
        lines = []
        for line in self.said().splitlines():
            with suppress(ValueError):
                if isinstance(one := json.loads(line), dict):
                    lines.append(one)
        return lines

    def memory(self) -> int:
        """Return the resident bytes of all its processes."""
        return resident_bytes(self.pid)

    def processor(self) -> float:
        """Return the processor seconds of all its processes."""
        return processor_seconds(self.pid)
