"""Serving: requests/s and latency of `striate serve`, of FastAPI with torch, and of LitServe.

    python -m benchmarks.serving --rounds 5

The same weights behind three servers on the processor, one after the other in each round, each in processes of its
own: a Fashion-MNIST network on 28×28 PNGs and an EfficientNet-Lite0 on photographs (JPEG) at 224×224. Clients ask in a
closed loop, 1, 8 and 64 at a time, on connections that are kept alive, with the encoded picture as the body. Every
answer is compared with the network's own, class by class, within 1e-4; a server that gives one wrong answer is out.

Striate runs with its defaults. FastAPI (uvicorn) runs the network eagerly in its thread pool, with 1 or 2 torch
threads or 2 processes, and LitServe with batches of 1 or 32, 1 or 2 workers, with and without its fast queue: of each
the variant is taken that answers most requests/s at 64 clients, found beforehand for each network.

Favourable to the peers: they check neither size nor format of what they decode, limit nothing, log nothing and have
no metrics, all of which Striate does, and they do not tell whether a picture is unlike the training pictures.
Favourable to nobody: the client shares the two cores with the server; `client` is its share of one core, and the row
`echo` is what it reaches against a server that answers at once with the same bytes: the most that it could tell.

A run for each network is trained first, for one epoch, unless `--run NAME=RUN` gives one. Writes
results/serving.json: a network is replaced, the other stays. --quick is one round of short measurements.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.contest import (
    Options,
    as_options,
    in_turn,
    is_here,
    is_installed,
    keep,
    print_header,
    print_row,
    read_options,
    run_program,
    say,
    times,
)
from benchmarks.serving.account import Account, Verdict
from benchmarks.serving.client import Load
from benchmarks.serving.client import run as in_event_loop
from benchmarks.serving.pictures import encoded_pictures, questions_about
from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server

CONCURRENCY = (1, 8, 64)
SECONDS = {"full": 8.0, "quick": 3.0, "rehearsal": 0.3}  # of each measurement
PICTURES = 200
OURS = "striate serve"


@dataclass(frozen=True)
class Served:
    """A network that is served.

    Args:
        data: What it is trained on and asked about.
        settings: Of `striate train`.
    """

    data: str
    settings: dict[str, object]


@dataclass(frozen=True)
class Variant:
    """A way to run a server.

    Args:
        module: What `python -m` runs.
        options: Of it, {run} and {port} among them.
        ready_path: What answers 200 once it is ready, where it has such a thing.
    """

    module: str
    options: tuple[object, ...]
    ready_path: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a server came to with so many clients.

    Args:
        rate: Right answers per second.
        p50_ms, p95_ms, p99_ms: Latency.
        requests: That were answered.
        client: The client's share of one core.
        server: Cores that the server used.
    """

    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests: int
    client: float
    server: float


NETWORKS = {
    "fashion-mnist": Served("fashion-mnist", {}),
    "efficientnet-lite0": Served("hymenoptera", {"model": "efficientnet-lite0", "img_size": 224}),
}
STRIATE = Variant("striate.cli.entry", ("serve", "{run}", "--port", "{port}"), "/ready")


def plain(threads: int, workers: int) -> Variant:
    """Return FastAPI with torch eager."""
    options = ("{run}", "--port", "{port}", "--threads", threads, "--workers", workers)
    return Variant("benchmarks.serving.peers.plain", options)


def lit(batch: int, workers: int, *more: str) -> Variant:
    """Return LitServe, whose workers share the two cores."""
    options = ("{run}", "--port", "{port}", "--batch", batch, "--workers", workers, "--threads", 2 // workers, *more)
    return Variant("benchmarks.serving.peers.lit", options)


PEERS = {
    "FastAPI": ("fastapi", [plain(1, 1), plain(2, 1), plain(1, 2)]),
    "LitServe": ("litserve", [lit(1, 1), lit(1, 2), lit(32, 1), lit(32, 2), lit(32, 1, "--fast-queue")]),
}


def train(served: Served, folder: Path, options: Options) -> Path:
    """Return a run of one epoch."""
    settings = {**served.settings, "epochs": 1, **options.few}
    say(f"training on {served.data}")
    out = ["--out", folder, "--name", "run", "--quiet", "--json", "--no-report"]
    run_program("striate.cli.entry", "train", served.data, *as_options(settings), *out)
    return folder / "run"


def start(variant: Variant, run: Path, ready: Question) -> Server:
    """Return a server, not yet started."""
    options = [str(option).replace("{run}", str(run.absolute())) for option in variant.options]
    return Server(variant.module, options, ready, ready_path=variant.ready_path)


def ask(name: str, server: Server, questions: Sequence[Question], clients: int, seconds: float) -> Outcome:
    """Ask in a closed loop; SystemExit where an answer is not right."""
    before = server.processor()
    account = in_event_loop(Load(server.port, questions, clients, seconds).run())
    used = server.processor() - before
    if account.counts.keys() != {Verdict.RIGHT}:
        raise SystemExit(
            f"{name}, {clients} clients: {dict(account.counts)}; {account.strange}; {server.said()[-2000:]}"
        )
    return outcome_of(account, used)


def outcome_of(account: Account, used: float) -> Outcome:
    """Return the figures of an account, of which the server used so many processor seconds."""
    p50, p95, p99 = (round(1000 * account.percentile(share), 3) for share in (0.5, 0.95, 0.99))
    shares = round(account.client_share, 3), round(used / account.seconds, 3)
    return Outcome(round(account.rate, 1), p50, p95, p99, len(account.records), *shares)


def measure(
    name: str, variant: Variant, run: Path, questions: Sequence[Question], seconds: float, number: int
) -> dict[int, Outcome]:
    """Return what a server comes to, by the number of clients."""
    with start(variant, run, questions[0]) as server:
        # the first answers take longer
        in_event_loop(Load(server.port, questions, max(CONCURRENCY), min(2.0, seconds)).run())
        return {clients: ask(name, server, questions, clients, seconds) for clients in CONCURRENCY}


def best(
    name: str, variants: Sequence[Variant], run: Path, questions: Sequence[Question], seconds: float
) -> tuple[Variant, dict[str, float]]:
    """Return the variant that answers most at 64 clients, and what each came to."""
    rates: dict[Variant, float] = {}
    for variant in variants:
        say(f"sounding {name} {' '.join(map(str, variant.options[3:]))}")
        with start(variant, run, questions[0]) as server:
            in_event_loop(Load(server.port, questions, max(CONCURRENCY), min(2.0, seconds)).run())
            rates[variant] = ask(name, server, questions, max(CONCURRENCY), seconds).rate
    told = {" ".join(map(str, variant.options[3:])): rate for variant, rate in rates.items()}
    return max(rates, key=lambda variant: rates[variant]), told


def echo(questions: Sequence[Question], seconds: float) -> Outcome:
    """Return what the client reaches against a server that answers at once."""
    one = questions[0]
    answer = json.dumps({"label": one.label, "probabilities": dict(one.probabilities)})
    with Server("benchmarks.serving.peers.echo", ["--port", "{port}", "--answer", answer], one) as server:
        return ask("echo", server, [one], max(CONCURRENCY), seconds)


def compare(name: str, run: Path, options: Options) -> None:
    """Measure all servers with a network, write a row each and keep them."""
    seconds = SECONDS[options.size]
    questions = questions_about(run, encoded_pictures(NETWORKS[name].data, PICTURES))
    soundings, chosen = {}, {OURS: STRIATE}
    for peer, (package, variants) in PEERS.items():
        if is_installed(package):
            variants = variants[:1] if options.size == "rehearsal" else variants
            chosen[peer], soundings[peer] = best(peer, variants, run, questions, min(4.0, seconds))
    ceiling = echo(questions, seconds)
    rounds = in_turn(
        {who: partial(measure, who, variant, run, questions, seconds) for who, variant in chosen.items()},
        options.rounds,
    )
    ratios: dict[str, float] = {}
    for clients in CONCURRENCY:
        ours = [outcome[clients] for outcome in rounds[OURS]]
        for who, outcomes in rounds.items():
            theirs = [outcome[clients] for outcome in outcomes]
            rates = times([one.rate for one in ours], [one.rate for one in theirs])
            tails = times([one.p99_ms for one in theirs], [one.p99_ms for one in ours])
            if who != OURS:
                ratios |= {f"{clients} clients, {who}, requests/s": rates, f"{clients} clients, {who}, p99": tails}
            latencies = (
                median(values) for values in zip(*((one.p50_ms, one.p95_ms, one.p99_ms) for one in theirs), strict=True)
            )
            cells = [f"{median(one.rate for one in theirs):,.0f}", *(f"{value:,.1f} ms" for value in latencies)]
            shares = (median(one.client for one in theirs), median(one.server for one in theirs))
            print_row(
                name, str(clients), who, *cells, f"{rates:.2f}", f"{tails:.2f}", *(f"{share:.2f}" for share in shares)
            )
    limits = [f"{value:,.1f} ms" for value in (ceiling.p50_ms, ceiling.p95_ms, ceiling.p99_ms)]
    print_row(
        name,
        str(max(CONCURRENCY)),
        "echo",
        f"{ceiling.rate:,.0f}",
        *limits,
        "",
        "",
        f"{ceiling.client:.2f}",
        f"{ceiling.server:.2f}",
    )
    keep(
        "serving",
        options.size,
        name,
        ratios,
        versions={package: version(package) for package in ("fastapi", "uvicorn", "litserve") if is_installed(package)},
        variants={who: " ".join(map(str, variant.options[3:])) for who, variant in chosen.items()},
        soundings=soundings,
        echo=asdict(ceiling),
        rounds={
            who: [{clients: asdict(one) for clients, one in outcome.items()} for outcome in outcomes]
            for who, outcomes in rounds.items()
        },
    )


def given_runs() -> dict[str, Path]:
    """Return the runs given by --run NAME=RUN, which is taken off the command line."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--run", action="append", default=[])
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return {name: Path(run) for name, _, run in (text.partition("=") for text in known.run)}


def main() -> None:
    """Compare with every network."""
    runs = given_runs()
    options = read_options(__doc__, list(NETWORKS), quick=list(NETWORKS), rounds=5)
    print_header(
        "network",
        "clients",
        "by",
        "requests/s",
        "p50",
        "p95",
        "p99",
        "Striate is × requests/s",
        "× p99",
        "client",
        "server",
    )
    for name in options.names:
        served = NETWORKS[name]
        if is_here(served.data):
            with tempfile.TemporaryDirectory() as folder:
                compare(name, runs.get(name) or train(served, Path(folder), options), options)


if __name__ == "__main__":
    main()
