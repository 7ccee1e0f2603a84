"""An HTTP/1.1 client that checks every answer and costs little, as it shares its cores with the server.

It is a bare asyncio Protocol: requests are bytes that were made beforehand, connections are kept alive, one request
is under way on each. In a *closed loop* each of C connections asks again as soon as it is answered. In an *open loop*
requests become due at a rate, whatever the server does, and their latency counts from then: a server that stalls
cannot hide how long others waited for it (Tene, "How NOT to measure latency", 2015).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TypeVar, cast

from benchmarks.serving.account import Account, Record, Verdict
from benchmarks.serving.questions import Question
from benchmarks.serving.replies import NotHTTPError, Reply, read_reply

T = TypeVar("T")
PAUSE = 0.05  # seconds until a refused connection is tried again


class Connection(asyncio.Protocol):
    """A connection with at most one request under way."""

    __slots__ = ("due", "load", "question", "received", "request_id", "sent", "transport")

    def __init__(self, load: Load) -> None:
        self.load = load
        self.transport: asyncio.Transport
        self.question: Question | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Report for work."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self.load.opened(self)

    def ask(self, question: Question, due: float, request_id: bytes | None) -> None:
        """Send a request."""
        self.question, self.due, self.request_id = question, due, request_id
        self.sent = time.perf_counter()
        self.transport.write(question.request(request_id))

    def data_received(self, data: bytes) -> None:
        """Read an answer, judge it and go on."""
        self.received = self.received + data if self.received else data
        try:
            reply = read_reply(self.received)
            if reply is not None and (self.question is None or len(self.received) > reply.size):
                raise NotHTTPError(f"more than was asked for: {self.received[:200]!r}")
        except NotHTTPError as error:
            self.load.note(str(error))
            self.finish(0, Verdict.ERROR)
            self.transport.abort()
            return
        if reply is not None:
            self._answered(reply)

    def _answered(self, reply: Reply) -> None:
        assert self.question is not None
        if reply.status == 200:
            own = self.request_id is None or b"\r\nx-request-id: " + self.request_id.lower() in reply.head
            verdict = Verdict.RIGHT if own and self.question.is_answered_by(reply.body) else Verdict.WRONG
        else:
            verdict = Verdict.REFUSED if reply.is_refusal else Verdict.ERROR
        if verdict in (Verdict.WRONG, Verdict.ERROR):
            self.load.note(f"{verdict}: {reply.status} {reply.body[:300]!r}")
        self.finish(reply.status, verdict)
        if reply.closes:
            self.transport.close()
        else:
            self.load.free(self)

    def finish(self, status: int, verdict: Verdict) -> None:
        """Take down what became of the request under way, if there is one."""
        self.received = b""
        if self.question is not None:
            self.question = None
            now = time.perf_counter()
            self.load.finished(Record(self.due, self.sent, now, status, verdict, self.request_id))

    def eof_received(self) -> None:
        """The server has closed in order: it has read all, unless what was sent later has met a reset."""
        if self.question is not None:
            told = self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.finish(0, Verdict.UNREAD if told and not self.received else Verdict.DROPPED)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended: after a reset the server had not read all of the request."""
        if self.question is not None:
            self.finish(0, Verdict.UNREAD if error is not None and not self.received else Verdict.DROPPED)
        self.load.lost(self)


class Load:
    """Connections to a server, and what goes over them.

    Args:
        port: On 127.0.0.1.
        questions: Asked in turn, again and again.
        connections: How many.
        seconds: For how long requests are sent.
        rate: Requests per second that become due; in a closed loop None.
        poisson: Whether the times between them are exponential, and not even.
        tagged: Whether each has an id of its own, which its answer must bear.
        patience: Seconds that are waited for answers after the last request.
    """

    def __init__(
        self,
        port: int,
        questions: Sequence[Question],
        connections: int,
        seconds: float,
        rate: float | None = None,
        poisson: bool = True,
        tagged: bool = False,
        patience: float = 30.0,
        seed: int = 0,
    ) -> None:
        self.port, self.connections, self.seconds, self.rate, self.patience = port, connections, seconds, rate, patience
        self.questions = itertools.cycle(questions)
        self.poisson, self.tagged, self.seed = poisson, tagged, seed
        self.account = Account()
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()  # when requests became due that have no connection yet
        self.live: set[Connection] = set()
        self.under_way = 0
        self.number = 0
        self.sending = False
        self.stopping = False
        self.over = asyncio.Event()  # set by whoever wants a closed loop to end sooner
        self.retries: set[asyncio.Task[None]] = set()

    async def run(self) -> Account:
        """Send requests for `seconds`, wait for what is under way, and return what became of all."""
        await asyncio.gather(*(self._connect() for _ in range(self.connections)))
        self.sending = True
        start, cpu = time.perf_counter(), time.process_time()
        if self.rate is None:
            while self.idle:
                self._ask(self.idle.popleft(), time.perf_counter())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), self.seconds)
        else:
            await self._become_due(start, self.rate)
        self.sending = False
        await self._settle()
        # what is counted above as waiting has never been sent
        self.account.unsent = len(self.waiting)
        last = max((record.done for record in self.account.records), default=start)
        self.account.seconds = max(last - start, self.seconds)
        self.account.client_cpu = time.process_time() - cpu
        await self._close()
        return self.account

    async def _become_due(self, start: float, rate: float) -> None:
        for due in instants(start, rate, self.seconds, self.poisson, self.seed):
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            elif self.number % 16 == 0:
                await asyncio.sleep(0)  # when late, too, answers are read
            if self.idle:
                self._ask(self.idle.popleft(), due)  # in turn: none is idle until the server closes it
            else:
                self.waiting.append(due)

    async def _settle(self) -> None:
        limit = time.perf_counter() + self.patience
        while (self.under_way or (self.waiting and self.live)) and time.perf_counter() < limit:
            await asyncio.sleep(0.005)
        for connection in list(self.live):
            if connection.question is not None:
                connection.finish(0, Verdict.LATE)

    async def _close(self) -> None:
        self.stopping = True
        if self.retries:  # let be made: one that is cancelled on the way may leave a connection that nobody knows of
            _, hanging = await asyncio.wait(self.retries, timeout=1.0)
            for task in hanging:
                task.cancel()
        limit = time.perf_counter() + 1.0
        for connection in list(self.live):
            connection.transport.abort()
        while self.live and time.perf_counter() < limit:
            await asyncio.sleep(0)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            try:
                await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
                return
            except OSError:
                self.account.refused_connections += 1
                await asyncio.sleep(PAUSE)

    def _ask(self, connection: Connection, due: float) -> None:
        self.number += 1
        self.under_way += 1
        tag = f"{self.seed:x}-{self.number:x}".encode() if self.tagged else None
        connection.ask(next(self.questions), due, tag)

    def opened(self, connection: Connection) -> None:
        """Take a new connection."""
        self.live.add(connection)
        self.free(connection)

    def free(self, connection: Connection) -> None:
        """Give a connection its next request, if there is one."""
        if self.rate is None and self.sending:
            self._ask(connection, time.perf_counter())
        elif self.waiting:
            self._ask(connection, self.waiting.popleft())
        else:
            self.idle.append(connection)

    def finished(self, record: Record) -> None:
        """Take down what became of a request."""
        self.under_way -= 1
        self.account.records.append(record)

    def note(self, text: str) -> None:
        """Keep what was strange about an answer."""
        if len(self.account.strange) < 10:
            self.account.strange.append(text)

    def lost(self, connection: Connection) -> None:
        """Replace a connection that has ended."""
        self.live.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if not self.stopping and (self.sending or self.waiting):
            task = asyncio.get_running_loop().create_task(self._connect())
            self.retries.add(task)
            task.add_done_callback(self.retries.discard)


def instants(start: float, rate: float, seconds: float, poisson: bool, seed: int) -> Iterator[float]:
    """Yield when requests become due, in [start, start + seconds): evenly, or as a Poisson process."""
    rng, due = random.Random(seed), start
    while due < start + seconds:
        yield due
        due += rng.expovariate(rate) if poisson else 1 / rate


def run(work: Coroutine[object, object, T]) -> T:
    """Return what a coroutine returns, in an event loop of its own: uvloop's where that is installed."""
    factory = None
    if find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)
