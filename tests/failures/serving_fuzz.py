"""Thousands of requests that no good client sends: none may be a 500, and the next good one is always answered.

    python -m tests.failures.serving_fuzz RUN fashion-mnist --requests 20000

Each case (serving_cases.py) goes over a connection of its own, is half-closed if it gets no answer, and is followed by
a good request on a new connection, which must be answered rightly. Broken are the rules by: an answer of 5xx, except
503 with Retry-After, 501 (an encoding that is not read) and 505 (another version of HTTP); an answer that is not
HTTP; a connection that is neither answered nor closed within `--limit` seconds; a good request that is not answered
rightly; a smuggled request that is answered with 200; a process of the server's that has ended. A case is the same for
the same seed, number and pictures: `--only NUMBER` repeats it and shows it.

`--schema N` requests are made beforehand by schemathesis from /openapi.json (serving_schema.py).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.processes import family
from benchmarks.serving.questions import Question
from benchmarks.serving.replies import NotHTTPError, Reply, read_reply
from benchmarks.serving.server import HOST, Server

from .serving import Report, many_files, script, starter
from .serving_cases import Case, case

HALF_CLOSE = 0.25  # seconds without an answer after which our side is closed
HONEST = (501, 505)  # of 5xx: what says that a request is not understood
STRANGE = 50  # broken rules that are told one by one


async def converse(port: int, pieces: Sequence[bytes], limit: float, expected: int = 1) -> tuple[list[Reply], bytes]:
    """Send pieces on a connection of its own; return the answers and what of the last is not whole.

    Args:
        expected: After so many answers the connection is left.

    Raises:
        TimeoutError: Neither answered so often nor closed within `limit` seconds.
    """
    replies: list[Reply] = []
    data = b""
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            for piece in pieces:
                if not writer.transport.is_closing():
                    writer.write(piece)
                    await asyncio.sleep(0)
            half_closed = False
            while len(replies) < expected:
                try:
                    async with asyncio.timeout(None if half_closed else HALF_CLOSE):
                        more = await reader.read(65536)
                except TimeoutError:
                    if half_closed:
                        raise
                    half_closed = True
                    with suppress(OSError):
                        writer.write_eof()
                    continue
                except ConnectionError:
                    break
                if not more:
                    break
                data += more
                while data and (reply := read_reply(data)) is not None:
                    data = data[reply.size :]
                    replies += [] if 100 <= reply.status < 200 else [reply]
        finally:
            writer.transport.abort()
    return replies, data


def faults(one: Case, replies: Sequence[Reply], rest: bytes) -> list[str]:
    """Return the rules that the answers to a case break."""
    found = []
    for reply in replies:
        if reply.status >= 500 and not reply.is_refusal and reply.status not in HONEST:
            found.append(f"status {reply.status}: {reply.body[:300]!r}")
        if one.refused and reply.status == 200:
            found.append(f"a smuggled request was answered with 200: {reply.body[:100]!r}")
    if one.right is not None:
        right = [
            reply.status == 200 and question.is_answered_by(reply.body)
            for question, reply in zip(one.right, replies, strict=False)
        ]
        if len(replies) != len(one.right) or not all(right):
            found.append(
                f"a good request is not answered rightly: {[(reply.status, reply.body) for reply in replies]}"[:500]
            )
    if rest and not one.pieces[0].startswith(b"HEAD"):
        found.append(f"an answer that is not whole: {rest[:200]!r}")
    return found


async def fuzz(
    server: Server,
    questions: Sequence[Question],
    seed: int,
    numbers: Iterable[int],
    limit: float,
    side_by_side: int,
) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Send cases; return how many there were by kind and by status, and the rules that were broken, by case."""
    tally: Counter[str] = Counter()
    broken: list[tuple[int, str]] = []
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            one = case(seed, number, questions)
            tally[one.kind] += 1
            expected = 50 if one.right is None else len(one.right)
            try:
                replies, rest = await converse(server.port, one.pieces, limit, expected)
                found = faults(one, replies, rest)
                tally.update(f"status {reply.status}" for reply in replies)
                tally["closed without an answer"] += not replies
            except TimeoutError:
                found = [f"neither answered nor closed within {limit:g} s"]
            except (NotHTTPError, ValueError) as error:
                found = [f"no HTTP: {error}"]
            except OSError as error:
                found = [f"no connection: {error}"]
            broken.extend((number, f"{one.kind}: {text}") for text in found)
            good = questions[number % len(questions)]
            try:
                replies, _ = await converse(server.port, [good.request()], limit)
                if not replies or replies[0].status != 200 or not good.is_answered_by(replies[0].body):
                    broken.append((number, f"after {one.kind}: the next good request got {replies}"[:400]))
            except (TimeoutError, OSError, ValueError) as error:
                broken.append((number, f"after {one.kind}: the next good request failed, {error!r}"))
            if len(broken) > 10 * STRANGE:
                return

    await asyncio.gather(*(work() for _ in range(side_by_side)))
    return tally, broken


def try_fuzz(
    server: Server,
    questions: Sequence[Question],
    report: Report,
    seed: int,
    numbers: Sequence[int],
    limit: float = 10.0,
    side_by_side: int = 16,
) -> None:
    """Fuzz a server and judge it."""
    before = set(family(server.pid))
    tally, broken = asyncio.run(fuzz(server, questions, seed, numbers, limit, side_by_side))
    report.say(f"{len(numbers):,} cases, each followed by a good request: {dict(sorted(tally.items()))}")
    for number, text in broken[:STRANGE]:
        report.say(f"  seed {seed}, case {number}: {text}  (--seed {seed} --only {number})")
    report.require(not broken, f"{len(broken)} of {len(numbers):,} cases broke a rule")
    ended = before - set(family(server.pid))
    report.require(not ended, f"{len(ended)} of the server's {len(before)} processes have ended")


def main() -> int:
    """Try a server that the options describe."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--requests", type=int, default=16_000, help="cases over raw sockets [16000]")
        parser.add_argument("--schema", type=int, default=4_000, help="requests by schemathesis [4000]")
        parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these cases alone, and show them")
        parser.add_argument("--limit", type=float, default=10.0, help="seconds for an answer or an end [10]")

    options = script(__doc__, add)
    many_files()
    questions = questions_about(options.run, encoded_pictures(options.data, options.pictures))
    report = Report(aloud=True)
    with starter(options, questions[0])("--receive-timeout", 3) as server:
        if options.only:
            for number in options.only:
                one = case(options.seed, number, questions)
                report.say(f"case {number}, {one.kind}: {[piece[:2000] for piece in one.pieces]}")
        elif options.schema:
            from .serving_schema import try_schema

            try_schema(server, questions, report, options.schema, options.seed)
        try_fuzz(server, questions, report, options.seed, options.only or range(options.requests), limit=options.limit)
        if report.broken:
            report.say(server.said()[-5000:])
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
