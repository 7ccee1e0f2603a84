"""What the benchmarks share: contestants that take turns, runs in processes of their own, tables and kept results.

A ratio says how many times better Striate is than what ran beside it. It outlasts the machine and what else that
did at the time, so `benchmarks.compare` looks at ratios alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Literal, ParamSpec, TypeVar

from striate.core.device import choose_device, describe_machine
from striate.core.errors import SettingsError
from striate.data.find import search_roots
from striate.runs.folder import Run

RESULTS = Path(__file__).parent / "results"
Size = Literal["full", "quick", "rehearsal"]
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Options:
    """What the user asked of a benchmark.

    Args:
        names: Contests, in their order.
        rounds: How often each contestant runs.
        size: A rehearsal shows that everything runs; its figures mean nothing and are not kept.
    """

    names: list[str]
    rounds: int
    size: Size

    @property
    def few(self) -> dict[str, object]:
        """The pictures that a rehearsal is limited to, as a setting of `striate train`."""
        return {"first": 200} if self.size == "rehearsal" else {}

    @property
    def small(self) -> dict[str, object]:
        """All that a rehearsal is limited to, as settings of `striate train`; the programs beside it have the same."""
        return {**self.few, "epochs": 1} if self.size == "rehearsal" else {}


def read_options(doc: str | None, names: Sequence[str], quick: Sequence[str], rounds: int = 3) -> Options:
    """Return the options typed behind a benchmark's name.

    Args:
        doc: The benchmark's docstring.
        names: All its contests.
        quick: Those of its short form, which has one round.
        rounds: Rounds of its full form.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help=f"runs of each contestant; round R has seed R [{rounds}]")
    size = parser.add_mutually_exclusive_group()
    for name, meaning in (("quick", "the short form"), ("rehearsal", "whether everything runs; nothing is kept")):
        size.add_argument(f"--{name}", action="store_const", const=name, dest="size", help=meaning)
    given = parser.parse_args()
    chosen: Size = given.size or "full"
    return Options(
        names=[name for name in names if name in (given.only or (quick if chosen == "quick" else names))],
        rounds=given.rounds or (rounds if chosen == "full" else 1),
        size=chosen,
    )


def data_folder(data: str) -> Path | None:
    """Return the folder of a data set ('mnist', 'cifar10-jpeg:bird,airplane') below the data folders, or None."""
    folders = (root / data.partition(":")[0] for root in search_roots(None))
    return next((folder for folder in folders if folder.is_dir()), None)


def is_here(data: str) -> bool:
    """Return whether a data set is on this machine; one that is not is left out by name."""
    return _or_left_out(data_folder(data) is not None, data, "not on this machine (STRIATE_DATA)")


def is_installed(package: str) -> bool:
    """Return whether a package can be imported; one that cannot is left out by name."""
    return _or_left_out(find_spec(package) is not None, package, "not installed")


def _or_left_out(present: bool, what: str, reason: str) -> bool:
    if not present:
        say(f"{what} is left out: {reason}")
    return present


def say(text: str) -> None:
    """Write a line for whoever waits; the tables alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def in_turn(contestants: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """Return what each contestant's runs came to; all run once before any runs again.

    Args:
        contestants: Functions of the number of the round.
    """
    results: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            say(f"round {number + 1}/{rounds}  {name}")
            results[name].append(run(number))
    return results


def times(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median over the rounds of ours / theirs: what slows a whole round down leaves it alone."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Args:
        wall_s: Seconds from its start to its exit.
        said: The JSON value on its last line.
    """

    wall_s: float
    said: dict[str, Any]


class ProgramError(SystemExit):
    """A program ended with an exit status other than 0; so does the benchmark that does not expect it."""

    def __init__(self, command: Sequence[str], status: int) -> None:
        super().__init__(f"exit status {status}: {shlex.join(command)}")
        self.status = status


def run_program(module: str, *arguments: object, **environment: str) -> Finished:
    """Run `python -m module arguments` to its end; ProgramError where it fails.

    PROCESS_STARTED tells it the time.time() from which it counts its own seconds.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    start = time.perf_counter()
    told = {**os.environ, "PROCESS_STARTED": repr(time.time()), **environment}
    done = subprocess.run(command, env=told, stdout=subprocess.PIPE, text=True)
    wall = time.perf_counter() - start
    if done.returncode:
        raise ProgramError(command, done.returncode)
    return Finished(wall, json.loads(done.stdout.splitlines()[-1]))


def in_own_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function of a module returns in a fresh process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *args, **kwargs).result()


@dataclass(frozen=True)
class TrainRun:
    """One run of `striate train`.

    Args:
        wall_s: From process start to exit.
        training_s: Of the epochs alone, with their validation.
        images: Training pictures.
        images_per_second: Training pictures per second, the median over the epochs.
        epochs, precision: What was given, or what the plan chose.
    """

    seed: int
    wall_s: float
    training_s: float
    test_accuracy: float
    images: int
    images_per_second: float
    epochs: int
    precision: str


def striate_train(data: str, settings: Mapping[str, object], seed: int, cache: Path | None = None) -> TrainRun:
    """Run `striate train` with these settings in a process of its own.

    Args:
        data: As `striate train` takes them.
        settings: Its options.
        seed: Seed of all randomness.
        cache: Folder of pictures decoded before it starts; by default there are none.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = ["--seed", seed, "--out", folder, "--name", "run", "--json", "--quiet"]
        decoded = str(cache or Path(folder, "cache"))
        done = run_program(
            "striate.cli.entry", "train", data, *as_options(settings), "--no-report", *out, STRIATE_CACHE=decoded
        )
        run = Run.open(Path(folder, "run"))
        lines, images = run.metrics(), len(run.training_hashes())
    return TrainRun(
        seed=seed,
        wall_s=round(done.wall_s, 2),
        training_s=round(sum(line["seconds"] for line in lines), 3),
        test_accuracy=done.said["test"]["accuracy"],
        images=images,
        images_per_second=median(line["images_per_second"] for line in lines),
        epochs=len(lines),
        precision=run.config.settings.precision,
    )


def striate_within(budget: str, data: str, settings: Mapping[str, object], seed: int) -> TrainRun | None:
    """Run `striate train` with a time budget; None where it is refused as too short for the machine."""
    try:
        return striate_train(data, {"time_budget": budget, **settings}, seed)
    except ProgramError as refusal:
        if refusal.status != SettingsError.exit_code:
            raise
        return None


def as_options(settings: Mapping[str, object]) -> list[str]:
    """Return settings as options of a command: {'val_share': 0, 'flip': False} → --val-share 0 --no-flip."""
    words = []
    for key, value in settings.items():
        name = key.replace("_", "-")
        words += [f"--no-{name}"] if value is False else [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def print_row(*cells: str) -> None:
    """Write a row of a Markdown table at once."""
    print(f"| {' | '.join(cells)} |", flush=True)


def print_header(*columns: str) -> None:
    """Write the head of a Markdown table."""
    print_row(*columns)
    print("|---" * len(columns) + "|", flush=True)


def result_file(benchmark: str, size: Size) -> Path:
    """Return the file that keeps a benchmark's results."""
    return RESULTS / (f"{benchmark}.json" if size == "full" else f"{benchmark}-{size}.json")


def keep(benchmark: str, size: Size, contest: str, ratios: Mapping[str, float], **content: object) -> None:
    """Keep what a contest came to, with its machine, in the place of what is kept of it.

    Args:
        ratios: How many times better Striate is, by what it is compared with and in what.
        content: Everything else, as JSON values.
    """
    if size == "rehearsal":
        return
    contests = kept(benchmark, size)
    machine = {**describe_machine(choose_device()), "load_at_the_end": round(os.getloadavg()[0], 1)}
    rounded = {name: float(f"{ratio:.3g}") for name, ratio in ratios.items()}
    contests[contest] = {"machine": machine, "ratios": rounded, **content}
    text = json.dumps({"command": f"python -m benchmarks.{benchmark}", "contests": contests}, indent=1)
    result_file(benchmark, size).write_text(text + "\n")


def kept(benchmark: str, size: Size) -> dict[str, dict[str, Any]]:
    """Return the contests that are kept of a benchmark, by name."""
    file = result_file(benchmark, size)
    return contests_in(file.read_text()) if file.exists() else {}


def contests_in(text: str) -> dict[str, dict[str, Any]]:
    """Return the contests in the text of a file of results; none where it is of another form."""
    contests: dict[str, dict[str, Any]] = json.loads(text).get("contests", {})
    return contests
