"""Load: 64 clients at 80 % of what the server can do, and then three times as much as it can.

    python -m tests.failures.serving_load RUN fashion-mnist --seconds 120

Saturation is the rate of right answers in a closed loop of `--clients` clients. At `--steady` times that rate, in an
open loop (requests arrive as a Poisson process), there must be: none dropped, none wrong, none late, no error, no
refusal. At `--over` times: every answer right or a refusal, refusals within 100 ms (99th percentile), and none
dropped. In both the resident memory of all the server's processes may grow by 5 % at most, from the second tenth of
the time, when the queue is as full as it gets, to the last (medians). Also said: the growth since before, goodput
(right answers per second over saturation), the latency of /live meanwhile, and by how much requests were sent later
than they were due, as no connection was free or the client was late itself. Latency includes that.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.serving.account import Account, Verdict
from benchmarks.serving.client import Load, run
from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.questions import Probe, Question
from benchmarks.serving.server import Server

from .serving import Report, many_files, script, starter

GROWTH = 1.05
REFUSED_WITHIN = 0.1  # seconds, of 99 %; a test on a machine that does other things, too, allows more
LIVE = Probe(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n")


@dataclass
class Loaded:
    """A server under load.

    Args:
        memory: Resident bytes of its processes, from time to time.
        live: What became of requests to /live meanwhile.
    """

    account: Account = field(default_factory=Account)
    memory: list[int] = field(default_factory=list)
    live: Account = field(default_factory=Account)


async def watch(server: Server, load: Load, every: float) -> Loaded:
    """Run a load, looking at the memory of the server and asking whether it lives."""
    loaded = Loaded()
    live = Load(server.port, [LIVE], 2, load.seconds, rate=min(20.0, 10 / every), poisson=False)

    async def look() -> None:
        while True:
            loaded.memory.append(server.memory())
            await asyncio.sleep(every)

    looking = asyncio.create_task(look())
    loaded.account, loaded.live = await asyncio.gather(load.run(), live.run())
    looking.cancel()
    return loaded


def saturation(port: int, questions: Sequence[Question], clients: int, seconds: float) -> Account:
    """Return the account of a closed loop."""
    return run(Load(port, questions, clients, seconds).run())


def describe(account: Account) -> str:
    """Return a line of figures about right answers."""
    shares = ", ".join(f"p{100 * share:g} {1000 * account.percentile(share):.1f} ms" for share in (0.5, 0.95, 0.99))
    return f"{account.rate:,.1f} right answers/s, {shares}, client {100 * account.client_share:.0f} % of a core"


def under_load(
    server: Server,
    questions: Sequence[Question],
    report: Report,
    name: str,
    rate: float,
    seconds: float,
    connections: int,
    may_refuse: bool,
    baseline: float,
) -> Loaded:
    """Load a server at a rate and judge it.

    Args:
        may_refuse: Whether requests may be refused, in time.
        baseline: Its resident bytes before.
    """
    load = Load(server.port, questions, connections, seconds, rate=rate, tagged=True, seed=1)
    loaded = run(watch(server, load, every=min(1.0, seconds / 20)))
    account, counts = loaded.account, loaded.account.counts
    report.say(f"{name}: {rate:,.1f} requests/s for {seconds:g} s, {connections} connections: {dict(counts)}")
    report.say(
        f"  {describe(account)}; sent too late by {1000 * account.lag:.1f} ms (p99), {account.unsent} never sent"
    )
    for text in account.strange:
        report.say(f"  {text}")
    bad = {one: counts[one] for one in (Verdict.WRONG, Verdict.ERROR, Verdict.DROPPED, Verdict.UNREAD, Verdict.LATE)}
    told = ", ".join(f"{number} {one}" for one, number in bad.items())
    report.require(not any(bad.values()), f"{name}: {told} of {len(account.records):,}")
    report.require(counts[Verdict.RIGHT] > 0, f"{name}: {counts[Verdict.RIGHT]:,} right answers")
    if may_refuse:
        took = account.percentile(0.99, Verdict.REFUSED)
        report.say(
            f"  {counts[Verdict.REFUSED]:,} refused, median {1000 * account.percentile(0.5, Verdict.REFUSED):.1f} ms"
        )
        report.require(counts[Verdict.REFUSED] > 0, f"{name}: something was refused, so there was too much")
        report.require(
            not took > REFUSED_WITHIN,
            f"{name}: refusals within {1000 * took:.1f} ms (p99, limit {1000 * REFUSED_WITHIN:g})",
        )
    else:
        report.require(not counts[Verdict.REFUSED] and not account.unsent, f"{name}: {counts[Verdict.REFUSED]} refused")
    lived = loaded.live
    report.say(f"  /live: {dict(lived.counts)}, p99 {1000 * lived.percentile(0.99):.1f} ms")
    report.require(lived.counts.keys() == {Verdict.RIGHT}, f"{name}: /live always answered 200")
    tenth = max(1, len(loaded.memory) // 10)
    first, last = median(loaded.memory[tenth : 2 * tenth]), median(loaded.memory[-tenth:])
    told = f"memory {first / 2**20:.0f} MiB after a tenth of the time, then × {last / first:.3f}"
    report.require(last <= GROWTH * first, f"{name}: {told} (limit {GROWTH:g}); × {last / baseline:.3f} since before")
    return loaded


def try_load(
    server: Server,
    questions: Sequence[Question],
    report: Report,
    seconds: float = 120.0,
    clients: int = 64,
    connections: int = 512,
    steady: float = 0.8,
    over: float = 3.0,
) -> None:
    """Measure saturation and judge the server below and above it.

    Args:
        connections: Of the load that is too much: more than the server's queue and its batch hold.
    """
    saturation(server.port, questions, clients, seconds / 12)  # a first time warms up and fills what memory is kept
    measured = saturation(server.port, questions, clients, seconds / 6)
    report.say(f"saturation, {clients} clients: {describe(measured)}; {dict(measured.counts)}")
    most = measured.rate
    baseline = server.memory()
    under_load(server, questions, report, "steady", steady * most, seconds, clients, False, baseline)
    loaded = under_load(server, questions, report, "too much", over * most, seconds, connections, True, baseline)
    report.say(f"  goodput {100 * loaded.account.rate / most:.0f} % of saturation")


def main() -> int:
    """Try a server that the options describe."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=120.0, help="of each of the two loads [120]")
        parser.add_argument("--clients", type=int, default=64)
        parser.add_argument("--connections", type=int, default=512, help="of three times the load [512]")
        parser.add_argument("--steady", type=float, default=0.8)
        parser.add_argument("--over", type=float, default=3.0)

    options = script(__doc__, add)
    many_files()
    questions = questions_about(options.run, encoded_pictures(options.data, options.pictures))
    report = Report(aloud=True)
    with starter(options, questions[0])() as server:
        try_load(
            server,
            questions,
            report,
            options.seconds,
            options.clients,
            options.connections,
            options.steady,
            options.over,
        )
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
