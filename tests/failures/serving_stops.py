"""SIGTERM under load, again and again: no accepted request is lost, and the server ends in time with status 0.

    python -m tests.failures.serving_stops RUN fashion-mnist --times 20

Each time a server is started, `--clients` clients ask in a closed loop, and after an instant drawn from `--seed` it
gets SIGTERM. *Accepted* is a request of which the server had read anything, as the kernel tells (client.py): it must
be answered, and rightly. A connection that was refused, or closed before a byte of the request was read, did not
accept it: its client knows that it may ask elsewhere. As a second witness every request bears an id, and none that
went without an answer may be in the server's log. Every other time the server announces its end for a second: /ready
is 503 at once, and meanwhile new connections are still answered.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import Sequence

from benchmarks.serving.account import Verdict
from benchmarks.serving.client import Load, run
from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server, get

from .serving import Report, StartServer, script, starter

LOST = (Verdict.WRONG, Verdict.ERROR, Verdict.DROPPED, Verdict.LATE)
ANNOUNCED = 1.0  # seconds


async def stop_under_load(server: Server, load: Load, after: float, grace: float, announced: bool) -> list[str]:
    """Send SIGTERM while a load runs, and return what was against the rules until the server's end."""
    wrong = []

    async def stop() -> None:
        await asyncio.sleep(after)
        server.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        while announced and time.monotonic() - start < ANNOUNCED / 2:
            await asyncio.sleep(ANNOUNCED / 10)
            ready = await asyncio.to_thread(get, server.port, "/ready")
            if ready is None or ready.status != 503:
                wrong.append(f"/ready is {ready and ready.status} after SIGTERM")
        limit = start + grace
        while server.process.poll() is None and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        if server.process.returncode is None:
            wrong.append(f"still there {grace:g} s after SIGTERM")
        elif server.process.returncode != 0:
            wrong.append(f"exit status {server.process.returncode}")
        server.gone_after = time.monotonic() - start
        await asyncio.sleep(0.1)  # the last answers are read
        load.over.set()

    await asyncio.gather(load.run(), stop())
    return wrong


def try_stops(
    start: StartServer,
    questions: Sequence[Question],
    report: Report,
    times: int = 20,
    clients: int = 64,
    grace: float = 30.0,
    longest: float = 2.0,
    seed: int = 0,
    announce: bool = True,
) -> None:
    """Stop a server under load, again and again.

    Args:
        longest: Seconds of load before SIGTERM, at most.
        announce: Whether the server is told, every other time, to announce its end.
    """
    rng = random.Random(seed)
    accepted = unread = 0
    for number in range(times):
        announced = announce and number % 2 == 1
        after = rng.uniform(0.2, longest)
        with start(*(["--announce", ANNOUNCED] if announced else [])) as server:
            load = Load(server.port, questions, clients, longest + grace + 5, tagged=True, patience=1.0, seed=number)
            wrong = run(stop_under_load(server, load, after, grace, announced))
            counts, log = load.account.counts, server.said()
            wrong += [f"{counts[one]} {one}" for one in LOST if counts[one]]
            wrong += [f"{load.account.counts[Verdict.REFUSED]} refused"] if counts[Verdict.REFUSED] else []
            ids = [one.request_id for one in load.account.records if one.verdict is Verdict.UNREAD]
            known = [one for one in ids if one is not None and f'"{one.decode()}"' in log]
            wrong += [f"{len(known)} that the client calls unread are in the server's log"] if known else []
            accepted += len(load.account.records) - counts[Verdict.UNREAD]
            unread += counts[Verdict.UNREAD]
            report.require(
                not wrong and counts[Verdict.RIGHT] > 0,
                f"SIGTERM after {after:.2f} s{', announced' if announced else ''}: {dict(counts)}, "
                f"gone after {server.gone_after:.2f} s{': ' if wrong else ''}{', '.join(wrong)}",
            )
            for text in load.account.strange:
                report.say(f"  {text}")
            if wrong:
                report.say(f"  the end of its log: {log[-1500:]}")
    report.say(f"{times} times: {accepted:,} requests accepted, {unread} met a connection that had been closed")


def main() -> int:
    """Try a server that the options describe."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--times", type=int, default=20)
        parser.add_argument("--clients", type=int, default=64)
        parser.add_argument("--grace", type=float, default=30.0, help="seconds until it must be gone [30]")

    options = script(__doc__, add)
    questions = questions_about(options.run, encoded_pictures(options.data, options.pictures))
    report = Report(aloud=True)
    start = starter(options, questions[0])
    try_stops(start, questions, report, options.times, options.clients, options.grace, seed=options.seed)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
