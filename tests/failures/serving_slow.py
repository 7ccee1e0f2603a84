"""Clients that are slow, idle, or leave: they cost the others little, and nothing is left of them.

    python -m tests.failures.serving_slow RUN fashion-mnist --slow 500 --idle 2000 --leaving 400

Good clients ask at `--rate` in an open loop, first alone. Then there are beside them

- slow connections, a third each: headers of one byte at a time, a body of one byte at a time, and readers that
  ask for much at once and never read. All must be closed by the server within `--deadline` seconds of their beginning;
- idle connections, each after one request;
- clients that reset the connection in the middle of their upload, and ones that leave before the answer.

Beside slow and idle ones the good clients' latency (99th percentile) may at most double, and all their answers must be
right. Afterwards the server must hold no more file descriptors than before, its gauges of what is under way must be
what they were, and the next request must be answered rightly.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from benchmarks.serving.account import Account, Verdict
from benchmarks.serving.client import Load, run
from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.processes import family, open_files
from benchmarks.serving.questions import Question
from benchmarks.serving.server import HOST, Server, exchange

from .serving import Report, becomes, gauges, many_files, script, starter

KINDS = ("headers", "body", "reader")
ASKED = 2  # answers that a reader asks for at once: more than it has room for
EVERY = 1.0  # seconds between two pieces of a slow connection
SETTLED = 1.0  # seconds until it is measured what slow connections cost, and not their beginning
REST = 10.0  # seconds until nothing may be left of those who have gone
UNDER_WAY = ("_under_way", "_pictures", "_bytes")  # ends of the names of gauges


class Slow(asyncio.Protocol):
    """A connection that sends a piece now and then, and may never read.

    Args:
        pieces: What is sent, until nothing is left.
        every: Seconds between them.
    """

    def __init__(self, kind: str, pieces: Iterator[bytes], every: float) -> None:
        self.kind, self.pieces, self.every = kind, pieces, every
        self.began = time.perf_counter()
        self.lasted: float | None = None  # as far as this side can see

    def connection_made(self, transport) -> None:
        self.transport = transport
        if self.kind == "reader":
            transport.pause_reading()
        self.tick()

    def tick(self) -> None:
        """Send the next piece."""
        if self.lasted is None and (piece := next(self.pieces, None)) is not None:
            self.transport.write(piece)
            asyncio.get_running_loop().call_later(self.every, self.tick)

    def connection_lost(self, error) -> None:
        if self.lasted is None:
            self.lasted = time.perf_counter() - self.began


def pieces_of(kind: str, question: Question) -> Iterator[bytes]:
    """Return what a slow connection sends: the last byte of a request never."""
    whole, start = question.request(), len(question.head) + 2
    if kind == "headers":
        return chain((whole[:20],), (whole[place : place + 1] for place in range(20, start - 4)))
    if kind == "body":
        return chain((whole[:start],), (whole[place : place + 1] for place in range(start, len(whole) - 1)))
    return iter((ASKED * b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",))


def descriptors(server: Server) -> int:
    """Return how many file descriptors all of a server's processes hold."""
    return sum(open_files(pid) for pid in family(server.pid))


def under_way(server: Server) -> dict[str, float]:
    """Return the gauges of what is under way."""
    return {name: value for name, value in gauges(server.port).items() if name.endswith(UNDER_WAY)}


async def beside_slow(
    server: Server, load: Load, question: Question, count: int, deadline: float, held: int
) -> tuple[Account, list[Slow], int]:
    """Run a load while `count` slow connections are open, and wait for their end, for `deadline` seconds at most.

    Return the load's account, the connections, and how many descriptors more than `held` the server has then: a
    connection that is closed with answers underway looks open to a client that does not read them.
    """
    loop = asyncio.get_running_loop()
    slow: list[Slow] = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        connection = socket.socket()
        if kind == "reader":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.setblocking(False)
        await loop.sock_connect(connection, (HOST, server.port))
        one = Slow(kind, pieces_of(kind, question), EVERY)
        await loop.create_connection(lambda one=one: one, sock=connection)
        slow.append(one)
    await asyncio.sleep(SETTLED)
    account = await load.run()
    while descriptors(server) > held and time.perf_counter() < slow[-1].began + deadline:
        await asyncio.sleep(0.05)
    left = descriptors(server) - held
    for one in slow:
        one.transport.abort()
    return account, slow, left


async def beside_idle(server: Server, load: Load, count: int) -> tuple[Account, int]:
    """Run a load while `count` connections are idle after a request each; return its account and those answered."""
    live = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    idle = []
    answered = 0
    for _ in range(count):
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(live)
        answered += (await reader.read(12)).endswith(b"200")
        idle.append(writer)
    account = await load.run()
    for number, writer in enumerate(idle):
        if number % 2:
            writer.transport.abort()
        else:
            writer.close()
    return account, answered


def leave(port: int, question: Question, number: int) -> None:
    """Begin a request and leave: reset in the middle of the upload, or close or reset without waiting."""
    request = question.request()
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(request[: len(request) // 2] if number % 3 == 0 else request)
        if number % 3 != 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by reset


def judge_good(report: Report, name: str, account: Account, alone: float, slack: float) -> None:
    """Judge the answers and the latency of good clients beside others."""
    counts = account.counts
    for text in account.strange:
        report.say(f"  {text}")
    report.require(counts.keys() == {Verdict.RIGHT}, f"{name}: good clients {dict(counts)}")
    p99 = account.percentile(0.99)
    told = f"{name}: good clients' p99 {1000 * p99:.1f} ms, alone {1000 * alone:.1f} ms (limit: twice)"
    report.require(p99 <= 2 * alone + slack, told)


def judge_rest(report: Report, name: str, server: Server, question: Question, before: tuple[int, dict]) -> None:
    """Judge what is left once the others have gone."""
    held, counted = before
    report.require(
        becomes(lambda: descriptors(server) <= held, REST), f"{name}: {descriptors(server)} descriptors, {held} before"
    )
    report.require(
        becomes(lambda: under_way(server) == counted, REST), f"{name}: gauges {under_way(server)}, {counted} before"
    )
    reply = exchange(server.port, question.request())
    right = reply is not None and reply.status == 200 and question.is_answered_by(reply.body)
    report.require(right, f"{name}: the next request is answered rightly")


def try_slow(
    server: Server,
    questions: Sequence[Question],
    report: Report,
    rate: float = 50.0,
    slow: int = 500,
    idle: int = 2000,
    leaving: int = 400,
    deadline: float = 15.0,
    seconds: float = 10.0,
    slack: float = 0.0,
) -> None:
    """Try a server with slow, idle and leaving clients.

    Args:
        rate: Requests per second of the good clients.
        deadline: Seconds within which slow connections must have been closed.
        seconds: For how long the good clients' latency is measured, alone and beside others.
        slack: Seconds that the good clients' latency may exceed the limit by.
    """

    def good(seconds: float) -> Load:
        return Load(server.port, questions, 16, seconds, rate=rate, tagged=True, seed=2)

    run(good(min(2.0, seconds)).run())
    alone = run(good(seconds).run()).percentile(0.99)
    before = descriptors(server), under_way(server)
    report.say(f"{before[0]} descriptors, gauges {before[1]}")
    if slow:
        began = time.perf_counter()
        account, ended, left = run(beside_slow(server, good(seconds), questions[0], slow, deadline, before[0]))
        seen = Counter(one.kind for one in ended if one.lasted is not None)
        report.say(f"{slow} slow connections; the server had closed all after {time.perf_counter() - began:.1f} s")
        report.say(f"  this was seen of {dict(seen)}")
        report.require(left <= 0, f"slow: {max(left, 0)} still open after {deadline:g} s")
        judge_good(report, "slow", account, alone, slack)
        judge_rest(report, "slow", server, questions[0], before)
    if idle:
        account, answered = run(beside_idle(server, good(seconds), idle))
        report.say(f"{idle} idle connections, {answered} answered")
        report.require(answered == idle, f"idle: {answered} of {idle} were answered before")
        judge_good(report, "idle", account, alone, slack)
        judge_rest(report, "idle", server, questions[0], before)
    if leaving:
        for number in range(leaving):
            leave(server.port, questions[number % len(questions)], number)
        report.say(f"{leaving} clients left")
        judge_rest(report, "leaving", server, questions[0], before)


def main() -> int:
    """Try a server that the options describe."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rate", type=float, default=50.0, help="requests/s of good clients [50]")
        parser.add_argument("--slow", type=int, default=500, help="slow connections [500]")
        parser.add_argument("--idle", type=int, default=2000, help="idle connections [2000]")
        parser.add_argument("--leaving", type=int, default=400, help="clients that leave [400]")
        parser.add_argument("--deadline", type=float, default=15.0, help="seconds to close a slow connection in [15]")

    options = script(__doc__, add)
    many_files()
    questions = questions_about(options.run, encoded_pictures(options.data, options.pictures))
    report = Report(aloud=True)
    with starter(options, questions[0])() as server:
        try_slow(server, questions, report, options.rate, options.slow, options.idle, options.leaving, options.deadline)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
