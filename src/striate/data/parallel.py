"""Many picture files at once: decoded by this process and, where that pays, by helpers on the other cores.

Most of the work on a small picture is Python's own, which one process does on one core however many threads it
has. A helper is a process of the same interpreter that is sent names and answers with pixels, through pipes: it
does not run the user's script again, as `multiprocessing` would, nor inherit locks, as a fork would. Where a
helper cannot start, or dies, this process does its share.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from striate.core.errors import DataError
from striate.core.names import some
from striate.core.spec import ImageSpec
from striate.data.audit.finding import of
from striate.data.conversions import conversions
from striate.data.decode import PassingError, decode_with_header, read_bytes
from striate.data.reading import READING

Batch = NDArray[np.uint8]  # N C H W
Errors = list[DataError | None]
Outcome = DataError | str  # why a picture is black, or what was done to it on the way: '' for nothing

LEFT_OUT = "left out (--skip-bad)"
START = 2.0  # seconds of work from which helpers pay: each takes 0.3 s to start
MOST_HELPERS = 31
_LARGE = 20_000  # bytes of a file from which its decoding is mostly C, which threads do side by side
_CHUNK = 2**21  # bytes of pixels decoded at a time
_CHUNK_FILES = 128


def seconds_to_decode(files: int, encoded: int, decoded: int) -> float:
    """Return about how long one core takes to decode pictures.

    Args:
        files: Their number.
        encoded: Bytes of the files.
        decoded: Bytes of the pixels.
    """
    return files * 6e-5 + encoded * 1e-8 + decoded * 2e-9  # a small JPEG takes less, a small PNG more


def usable_cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_here(
    paths: Sequence[str], spec: ImageSpec, out: Batch, read: Callable[[str], bytes] = read_bytes
) -> list[Outcome]:
    """Decode files into `out`, uint8 N C H W, and return the outcome of each."""
    outcomes: list[Outcome] = []
    for path, place in zip(paths, out, strict=True):
        try:
            pixels, header = decode_with_header(read(path), spec, path)
            place[:] = pixels.transpose(2, 0, 1)
            outcomes.append("; ".join(conversions(path, header, spec.channels).values()))
        except DataError as error:
            place[:] = 0
            outcomes.append(error)
    return outcomes


def errors_among(outcomes: Sequence[Outcome]) -> Errors:
    """Return for each outcome None, or why the picture is black."""
    return [outcome if isinstance(outcome, DataError) else None for outcome in outcomes]


def require_readable(
    errors: Sequence[DataError | None], skip_bad: bool, fix: str = "replace or remove them"
) -> list[str]:
    """Refuse pictures that could not be decoded, all at once, or return a note of how many are left out.

    Args:
        errors: For each picture None, or why it cannot be used.
        skip_bad: Go on without them, as long as any is left.
        fix: What to do about them.

    Raises:
        DataError: There are such pictures, and they are not to be left out or there are no others.
    """
    bad = [error for error in errors if error is not None]
    if not bad:
        return []
    if skip_bad and len(bad) < len(errors):
        names = [Path(str(error.where)).name for error in bad]
        return [f"{of(len(bad), 'unreadable picture')} {LEFT_OUT}: {some(names)}"]
    lines = "\n".join(f"  {error.where}: {error.what}" for error in bad)
    raise DataError(
        f"{len(bad):,} of {of(len(errors), 'picture')} cannot be used:\n{lines}",
        fix=fix if skip_bad else f"{fix}, or go on without them: --skip-bad",
    )


class Decoders:
    """All that decode for one folder: `with Decoders(spec, files, encoded) as decoders: decoders.into(paths, out)`.

    Args:
        spec: What the pictures are decoded to.
        files: How many there will be.
        encoded: Bytes of all their files.
    """

    def __init__(self, spec: ImageSpec, files: int, encoded: int) -> None:
        pixels = int(np.prod(spec.input_shape))
        seconds, cores = seconds_to_decode(files, encoded, files * pixels), usable_cores()
        self.spec = spec
        self.chunk = max(1, min(_CHUNK_FILES, _CHUNK // pixels))
        self._helpers = [Helper(spec) for _ in range(min(cores - 1, int(seconds), MOST_HELPERS) * (seconds >= START))]
        threads = 1 if self._helpers or encoded < _LARGE * files else cores
        self._idle: SimpleQueue[Callable[[Sequence[str], Batch], list[Outcome]]] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(lambda paths, out: decode_here(paths, spec, out))
        for helper in self._helpers:
            self._idle.put(helper)
        self._pool = ThreadPoolExecutor(threads + len(self._helpers))
        self._told = READING.decoding(files)

    def __enter__(self) -> Decoders:
        self._told.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.__exit__(kind, error, trace)
        self._pool.shutdown(cancel_futures=True)
        for helper in self._helpers:
            helper.close()

    def into(self, paths: Sequence[str], out: Batch) -> list[Outcome]:
        """Decode files into `out`, uint8 N C H W, and return the outcome of each."""

        def one(start: int) -> list[Outcome]:
            part = slice(start, start + self.chunk)
            worker = self._idle.get()
            try:
                return worker(paths[part], out[part])
            finally:
                self._idle.put(worker)

        outcomes: list[Outcome] = []
        for part in self._pool.map(one, range(0, len(paths), self.chunk)):
            outcomes += part
            READING.done += len(part)
        return outcomes


class Helper:
    """A process that decodes what it is sent."""

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec
        program = f"import sys; sys.path[:] = {sys.path!r}; from striate.data.parallel import serve; serve()"
        self.process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._send(spec.model_dump_json().encode())

    def __call__(self, paths: Sequence[str], out: Batch) -> list[Outcome]:
        """Have files decoded into `out`; what the helper cannot do is done here."""
        try:
            return self._ask(paths, out)
        except (OSError, EOFError, ValueError):  # dead, or not in its right mind
            self.close()
            return decode_here(paths, self.spec, out)

    def _ask(self, paths: Sequence[str], out: Batch) -> list[Outcome]:
        self._send(json.dumps(paths).encode())
        assert self.process is not None
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        rest = memoryview(out.reshape(-1).data)
        while rest:
            count = self.process.stdout.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            rest = rest[count:]
        return [
            answer
            if isinstance(answer, str)
            else (PassingError if answer["passing"] else DataError)(answer["what"], where=path, fix=answer["fix"])
            for path, answer in zip(paths, told, strict=True)
        ]

    def _send(self, line: bytes) -> None:
        if self.process is None or self.process.stdin is None:
            raise BrokenPipeError
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the process; it has nothing to lose."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()


def serve() -> None:
    """Decode what comes on standard input, until it ends: the program of a helper."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who began this ends it
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    spec = ImageSpec.model_validate_json(source.readline())
    for line in source:
        paths = json.loads(line)
        out = np.empty((len(paths), *spec.input_shape), np.uint8)
        outcomes = decode_here(paths, spec, out)
        told = [one if isinstance(one, str) else
                {"what": one.what, "fix": one.fix, "passing": isinstance(one, PassingError)}
                for one in outcomes]  # fmt: skip
        sink.write(json.dumps(told).encode() + b"\n")
        sink.write(out.data)
        sink.flush()
