"""Few pictures: `striate train FOLDER` with no option, beside training from scratch and beside fine-tuning.

    python -m benchmarks.transfer --only hymenoptera --rounds 3

Ants and bees: 245 training photographs, measured on the 122 of the validation part, as there is no test part. Cats and
dogs: 1,000 pictures of each from cifar10-jpeg's training part, chosen by the round's seed and linked into a temporary
folder, with all 2,000 of the test part to measure on. Wall time is that of the whole command, from process start to
exit, without a decoded picture or a feature from before. Of fine-tuning what is better on the validation part is kept,
so its accuracy there is a little too good.

Writes results/transfer.json: a data set is replaced, the other stays. --quick is ants and bees with no option.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks.contest import (
    Options,
    as_options,
    data_folder,
    in_turn,
    is_here,
    is_installed,
    keep,
    print_header,
    print_row,
    read_options,
    run_program,
    times,
)
from striate.models.weights import LITE0_PACKAGE

NO_OPTION, SCRATCH, TUNED = "no option", "from scratch", "fine-tuned"
WAYS: dict[str, dict[str, object]] = {NO_OPTION: {}, SCRATCH: {"pretrained": "none"}, TUNED: {"epochs": 3}}
CONTESTS = {"hymenoptera": ("hymenoptera", [NO_OPTION, SCRATCH]), "cifar10-cat-dog": ("cifar10-jpeg", [*WAYS])}
CLASSES = ("cat", "dog")
PER_CLASS = {"full": 1_000, "quick": 1_000, "rehearsal": 20}


@dataclass(frozen=True)
class Outcome:
    """One run.

    Args:
        wall_s: From process start to exit.
        accuracy: On the test part, or the validation part where there is none.
        count: Pictures that it was measured on.
        weights: What the run began from, or 'none'.
    """

    seed: int
    wall_s: float
    accuracy: float
    count: int
    weights: str


def link(source: Path, folder: Path, per_class: int, seed: int) -> None:
    """Fill a folder with links: cats and dogs of the training part, so many each, and the whole test part of both."""
    rng = np.random.default_rng(seed)
    for part in ("train", "test"):
        for name in CLASSES:
            files = sorted((source / part / name).iterdir())
            chosen = rng.choice(len(files), min(per_class, len(files)), replace=False) if part == "train" else None
            (folder / part / name).mkdir(parents=True)
            for number in range(len(files)) if chosen is None else sorted(chosen.tolist()):
                (folder / part / name / files[number].name).symlink_to(files[number])


@contextmanager
def pictures_of(contest: str, source: Path, options: Options, seed: int) -> Iterator[Path]:
    """Give the folder to train on."""
    if contest == "hymenoptera":
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        link(source, Path(folder, contest), PER_CLASS[options.size], seed)
        yield Path(folder, contest)


def train(contest: str, source: Path, settings: Mapping[str, object], options: Options, seed: int) -> Outcome:
    """Run `striate train` in a process of its own."""
    with pictures_of(contest, source, options, seed) as data, tempfile.TemporaryDirectory() as folder:
        shortened = {"epochs": 1} if options.size == "rehearsal" and settings else {}
        few = {"first": 40} if options.size == "rehearsal" else {}
        given = as_options({**settings, **shortened, **few})
        out = ["--seed", seed, "--out", folder, "--name", "run", "--json", "--quiet"]
        done = run_program("striate.cli.entry", "train", data, *given, *out, STRIATE_CACHE=str(Path(folder, "cache")))
        weights = json.loads(Path(folder, "run", "config.json").read_bytes())["settings"]["pretrained"]
    measured = done.said.get("test") or done.said["val"]
    return Outcome(seed, round(done.wall_s, 2), measured["accuracy"], measured["count"], weights)


def compare(contest: str, options: Options) -> None:
    """Run all ways in turn, write a row each and keep them."""
    data, ways = CONTESTS[contest]
    source = data_folder(data)
    assert source is not None
    ways = ways[:1] if options.size == "quick" else ways
    runs = in_turn({way: partial(train, contest, source, WAYS[way], options) for way in ways}, options.rounds)
    for way, of_it in runs.items():
        accuracies = [run.accuracy for run in of_it]
        print_row(
            contest,
            way,
            of_it[0].weights,
            f"{median(run.wall_s for run in of_it):.1f} s",
            f"{mean(accuracies):.4f}, {min(accuracies):.4f}",
            str(len(of_it)),
        )
    ratios = {}
    if SCRATCH in runs:
        walls = ([run.wall_s for run in runs[way]] for way in (SCRATCH, NO_OPTION))
        ratios["time, from scratch / no option"] = times(*walls)
    kept = {way: {"settings": WAYS[way], "runs": [asdict(run) for run in of_it]} for way, of_it in runs.items()}
    keep("transfer", options.size, contest, ratios, ways=kept)


def main() -> None:
    """Compare on every data set."""
    options = read_options(__doc__, list(CONTESTS), quick=["hymenoptera"])
    if not is_installed(LITE0_PACKAGE):
        return
    print_header("data", "how", "weights", "wall time (median)", "accuracy (mean, lowest)", "runs")
    for contest in options.names:
        if is_here(CONTESTS[contest][0]):
            compare(contest, options)


if __name__ == "__main__":
    main()
