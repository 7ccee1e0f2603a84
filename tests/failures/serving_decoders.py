"""A decoder is killed (SIGKILL) under load: only its own requests fail, with 503, and it is soon replaced.

    python -m tests.failures.serving_decoders RUN fashion-mnist --times 20

`--clients` clients ask in a closed loop. Again and again one of the server's decoders is killed: one that is at work at
that instant, where there is such a one, else one drawn from `--seed`.
Every answer must be right or a 503, of these at most as many as there are clients; within 5 s /ready
must be 200 again with as many decoders ready as before, and from then on every answer right. None may be dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.serving.account import Verdict
from benchmarks.serving.client import Load, run
from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.processes import family, is_computing
from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server, get

from .serving import Report, gauges, script, starter

AGAIN_WITHIN = 5.0  # seconds
READY = "striate_decoders"  # the gauge of decoders that are ready


def decoders_of(server: Server) -> list[int]:
    """Return the processes below the server's own that decode: all but multiprocessing's helpers."""
    found = []
    for pid in family(server.pid)[1:]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"resource_tracker" not in command and b"forkserver" not in command:
            found.append(pid)
    return found


async def at_work(decoders: Sequence[int]) -> int | None:
    """Return a decoder that is computing right now, the first found within half a second."""
    limit = time.perf_counter() + 0.5
    while time.perf_counter() < limit:
        for pid in decoders:
            if is_computing(pid):
                return pid
        await asyncio.sleep(0)
    return None


async def kill_under_load(
    server: Server, load: Load, decoders: Callable[[Server], list[int]], times: int, seed: int
) -> list[tuple[float, float]]:
    """Kill decoders while a load runs; return when, and when /ready was 200 again with a new one (or infinity)."""
    rng, moments = random.Random(seed), []

    async def kill() -> None:
        for _ in range(times):
            await asyncio.sleep(rng.uniform(0.3, 0.8))
            before = decoders(server)
            if not before:
                break
            ready_before = (await asyncio.to_thread(gauges, server.port)).get(READY, 0)
            killed = await at_work(before) or rng.choice(before)
            start = time.perf_counter()
            os.kill(killed, signal.SIGKILL)
            again = float("inf")
            while time.perf_counter() - start < 2 * AGAIN_WITHIN and server.process.poll() is None:
                await asyncio.sleep(0.05)
                now = decoders(server)
                if killed in now or len(now) < len(before):
                    continue
                ready = await asyncio.to_thread(get, server.port, "/ready")
                all_ready = (await asyncio.to_thread(gauges, server.port)).get(READY, 0) >= ready_before
                if ready is not None and ready.status == 200 and all_ready:
                    again = time.perf_counter()
                    break
            moments.append((start, again))
        await asyncio.sleep(0.5)
        load.over.set()

    await asyncio.gather(load.run(), kill())
    return moments


def try_kills(
    server: Server,
    questions: Sequence[Question],
    report: Report,
    times: int = 20,
    clients: int = 64,
    seed: int = 0,
    decoders: Callable[[Server], list[int]] = decoders_of,
) -> None:
    """Kill decoders under load and judge what came of it."""
    report.require(bool(decoders(server)), f"there are decoders: {len(decoders(server))}")
    if not decoders(server):
        return
    load = Load(server.port, questions, clients, 20.0 * times + 20, tagged=True, seed=seed)
    moments = run(kill_under_load(server, load, decoders, times, seed))
    account, counts = load.account, load.account.counts
    report.say(f"{times} kills, {clients} clients: {dict(counts)}")
    for text in account.strange:
        report.say(f"  {text}")
    failed = [one for one in account.records if one.status == 503]
    bad = [one for one in account.records if one.verdict is not Verdict.RIGHT and one.status != 503]
    report.require(not bad, f"{len(bad)} neither right nor 503, of {len(account.records):,}")
    for number, (start, again) in enumerate(moments):
        seconds = again - start
        report.require(seconds <= AGAIN_WITHIN, f"kill {number}: ready again after {seconds:.2f} s (limit 5)")
        its = sum(start <= one.done <= again for one in failed)
        report.require(its <= clients, f"kill {number}: {its} requests failed with 503")
    outside = [one for one in failed if not any(start <= one.done <= again for start, again in moments)]
    report.require(not outside, f"{len(outside)} requests failed with 503 at other times")
    report.require(server.process.poll() is None, "the server itself goes on")


def main() -> int:
    """Try a server that the options describe."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--times", type=int, default=20)
        parser.add_argument("--clients", type=int, default=64)

    options = script(__doc__, add)
    questions = questions_about(options.run, encoded_pictures(options.data, options.pictures))
    report = Report(aloud=True)
    with starter(options, questions[0])() as server:
        try_kills(server, questions, report, options.times, options.clients, options.seed)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
