"""The processes that decode pictures: each is fed all that waits, up to a limit, and answers in one message.

A process that dies, or is at one message for too long and is killed, takes with it only what it held, which is answered
with 503; another is started in its place.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

from striate.data.decoder_process import LENGTH, answer, request
from striate.deploy.serve.answers import Refusal, unusable
from striate.deploy.serve.work import OnePicture

MOST_PICTURES, MOST_BYTES = 32, 256 * 1024  # in one message; a larger picture goes alone
BACK_OFF, LONGEST_BACK_OFF = 0.1, 2.0  # seconds before a process that has answered nothing is replaced
SECRETS = {"STRIATE_TOKEN"}
PATIENCE = 1.0  # seconds after which a process that should have killed itself is killed


def lost() -> Refusal:
    """Return the refusal of a picture whose decoder died."""
    message = "the process that decoded this picture died or took too long"
    return Refusal(
        503, "decoder_lost", message, "ask again; if it happens again, leave the picture out", {"retry-after": "1"}
    )


class Decoders:
    """All decoding processes of the server; everything happens in the event loop.

    Args:
        count: How many processes.
        max_pixels: Of a picture.
        seconds: For one message.
        decoded: Told the pictures that have pixels now, as often as any are finished.
        replaced: Told how a process ended that is to be replaced.
    """

    def __init__(
        self,
        count: int,
        max_pixels: int,
        seconds: float,
        decoded: Callable[[Iterable[OnePicture]], None],
        replaced: Callable[[str], None],
    ) -> None:
        self.decoded, self._replaced = decoded, replaced
        self._arguments = [str(max_pixels), str(seconds)]
        # strangers' pictures are decoded far from our secrets
        self._environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[OnePicture] = deque()
        self._held = 0
        self._fed = False
        self._ended = asyncio.Event()
        self.processes: set[Process] = set()
        self._keeping = [self._loop.create_task(self._keep()) for _ in range(count)]

    @property
    def coming(self) -> int:
        """Pictures that wait or are being decoded."""
        return len(self._waiting) + self._held

    @property
    def alive(self) -> int:
        """Processes that are ready to decode."""
        return sum(process.ready for process in self.processes)

    def put(self, pictures: Iterable[OnePicture]) -> None:
        """Take encoded pictures; those of one turn of the event loop go out together."""
        self._waiting.extend(pictures)
        self._feed_soon()

    async def close(self) -> None:
        """End all processes."""
        self._ended.set()
        for process in self.processes:
            process.kill()
        await asyncio.gather(*self._keeping)

    async def _keep(self) -> None:
        """Keep a process, and after it the next."""
        fruitless = 0  # in a row that answered nothing
        while not self._ended.is_set():
            try:
                answered = await self._run()
            except OSError as error:  # the machine starts no more
                answered = False
                self._replaced(str(error))
            fruitless = 0 if answered else fruitless + 1
            with suppress(TimeoutError):
                back_off = min(BACK_OFF * 2**fruitless, LONGEST_BACK_OFF) if fruitless else 0.0
                await asyncio.wait_for(self._ended.wait(), back_off)

    async def _run(self) -> bool:
        """Run one process until it ends, and return whether it answered anything."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "striate.data.decoder_process", str(theirs.fileno()), *self._arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # ours is a log of JSON
                env=self._environment,
                start_new_session=True,  # signals to our group are for us
            )
        process = Process(self, child)
        self.processes.add(process)
        await self._loop.create_unix_connection(lambda: process, sock=ours)
        await process.gone
        child.kill()
        await self._loop.run_in_executor(None, child.wait)
        self.processes.discard(process)
        held, process.held = process.held, []
        self._held -= len(held)
        for picture in held:
            picture.finish(lost())
        if not self._ended.is_set():
            self._replaced(f"process {child.pid} ended with {child.returncode}")
            self.decoded([])  # others may have waited for what it held
        return process.answered

    def _feed_soon(self) -> None:
        if not self._fed:
            self._fed = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._fed = False
        free = [process for process in self.processes if process.ready and not process.held]
        while free and self._waiting:
            share = -(-len(self._waiting) // len(free))
            taken = self._take(min(share, MOST_PICTURES))
            if taken:
                self._held += len(taken)
                free.pop().ask(taken)

    def _take(self, count: int) -> list[OnePicture]:
        """Return some of those waiting, of one network, without those that nobody waits for."""
        taken: list[OnePicture] = []
        size = 0
        while self._waiting and len(taken) < count:
            picture = self._waiting[0]
            if not picture.work.dropped:
                size += len(picture.data)
                if taken and (size > MOST_BYTES or picture.work.served is not taken[0].work.served):
                    break
                taken.append(picture)
            self._waiting.popleft()
        return taken

    def take_answer(self, process: Process, message: memoryview) -> None:
        """Take what a process says of the pictures it held."""
        held, process.held = process.held, []
        self._held -= len(held)
        if self._waiting:
            self._feed()  # first the decoder, then what it has decoded
        usable = []
        for picture, found in zip(held, answer(message, held[0].work.served.size), strict=True):
            picture.data = b""
            if isinstance(found, tuple):
                picture.finish(unusable(*found))
            else:
                picture.pixels = bytes(found)
                usable.append(picture)
        self.decoded(usable)

    def process_ready(self) -> None:
        """Feed a process that has just begun."""
        self._feed_soon()


class Process(asyncio.Protocol):
    """Our end of one decoding process.

    Args:
        decoders: All of them.
        child: The process.
    """

    def __init__(self, decoders: Decoders, child: subprocess.Popen[bytes]) -> None:
        self._decoders, self._child = decoders, child
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.held: list[OnePicture] = []
        self.ready = self.answered = False
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the pool know that it has ended."""
        self.ready = False
        self._stop_timer()
        if not self.gone.done():
            self.gone.set_result(None)

    def ask(self, pictures: list[OnePicture]) -> None:
        """Send pictures of one network to it."""
        assert self._transport is not None
        self.held = pictures
        self._timer = self._loop.call_later(self._decoders.seconds + PATIENCE, self.kill)
        self._transport.write(request(pictures[0].work.served.spec, [picture.data for picture in pictures]))

    def data_received(self, data: bytes) -> None:
        """Collect what it sends until a message is complete."""
        self._received += data
        if len(self._received) < LENGTH.size:
            return
        (length,) = LENGTH.unpack_from(self._received)
        if len(self._received) < LENGTH.size + length:
            return
        received, self._received = self._received, bytearray()
        if self.held:
            self._stop_timer()
            self.answered = True
            self._decoders.take_answer(self, memoryview(received)[LENGTH.size :])
        else:
            self.ready = True
            self._decoders.process_ready()

    def kill(self) -> None:
        """End it."""
        self.ready = False
        self._child.kill()
        if self._transport is not None:
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
