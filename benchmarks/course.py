"""Accuracy over time on Fashion-MNIST, from process start: the document's program, Keras, fastai and Striate.

    python -m benchmarks.course

The document's program, and its network in Keras and fastai, are trained for 15 epochs and measured on the test part
after each. `striate train` runs with no option, and with each time budget: a point each, since its schedule is made
for the time there is, and it is measured once.

Favourable to the others: measuring is left out of their time, and so is all that follows the last epoch; they train
on all 60,000 pictures and keep nothing. Striate's time is that of the whole command, which starts without a decoded
picture, holds a tenth of the training pictures out and writes its run folder. Favourable to Striate: network and
settings are its own choice, where theirs are the document's, with a constant learning rate.

Writes results/course.json, which `python -m benchmarks.figure` draws. --quick is 2 epochs, and 20 s of Striate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import accumulate
from statistics import median
from typing import Any

from benchmarks.contest import (
    Options,
    TrainRun,
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
    striate_train,
    striate_within,
)

DATA = "fashion-mnist"
EPOCHS = {"full": 15, "quick": 2, "rehearsal": 1}
PROGRAMS = {
    "document": ["benchmarks.documents.fashion_cnn"],
    "Keras": ["benchmarks.peers.in_keras", "fashion-cnn"],
    "fastai": ["benchmarks.peers.in_fastai", "fashion-cnn"],
}
PACKAGES = {"document": "torch", "Keras": "keras", "fastai": "fastai"}
NO_OPTION = "no option"
BUDGETS = {"20 s": "20s", "1 min": "1m", "2 min": "2m", "5 min": "5m"}
STRIATE = {"full": [NO_OPTION, *BUDGETS], "quick": ["20 s"], "rehearsal": [NO_OPTION, "20 s"]}

Point = tuple[float, float]  # seconds since the process was started, test accuracy


def course(said: Mapping[str, Any]) -> list[Point]:
    """Return what a program told of itself, a point per epoch; measuring takes no time."""
    ends = list(accumulate(said["training_s"], initial=said["start_s"]))[1:]
    return [(round(end, 2), accuracy) for end, accuracy in zip(ends, said["test_accuracy"], strict=True)]


def typical(rounds: Sequence[Sequence[Point]]) -> list[Point]:
    """Return the median over the rounds of each point's time and accuracy."""
    return [(median(s for s, _ in points), median(a for _, a in points)) for points in zip(*rounds, strict=True)]


def end(runs: Sequence[Mapping[str, Any]]) -> Point:
    """Return the median time and accuracy of runs of Striate, as they are kept."""
    return median(run["wall_s"] for run in runs), median(run["test_accuracy"] for run in runs)


def run_other(name: str, options: Options, seed: int) -> list[Point]:
    """Train the document's network by another program."""
    given = as_options({"epochs": EPOCHS[options.size], "seed": seed} | options.few)
    return course(run_program(*PROGRAMS[name], data_folder(DATA), *given).said)


def run_striate(setting: str, options: Options, seed: int) -> TrainRun | None:
    """Run `striate train`; None where the time is refused as too short."""
    if setting == NO_OPTION:
        return striate_train(DATA, options.small, seed)
    return striate_within(BUDGETS[setting], DATA, options.few, seed)


def compare(options: Options) -> None:
    """Run all in turn, write a row each and keep them."""
    others = [name for name in PROGRAMS if is_installed(PACKAGES[name])]
    runs: dict[str, list[Any]] = in_turn(
        {name: partial(run_other, name, options) for name in others}
        | {setting: partial(run_striate, setting, options) for setting in STRIATE[options.size]},
        options.rounds,
    )
    courses: dict[str, list[list[Point]]] = {name: runs[name] for name in others}
    ours = {setting: [asdict(run) for run in runs[setting] if run] for setting in STRIATE[options.size]}
    for name, of_it in courses.items():
        points = typical(of_it)
        print_row(name, str(len(points)), told(points[0]), told(points[-1]))
    for setting, trained in ours.items():
        epochs = f"{median(run['epochs'] for run in trained):g}" if trained else "–"
        print_row(f"Striate, {setting}", epochs, "–", told(end(trained)) if trained else "refused as too short")
    keep(
        "course",
        options.size,
        DATA,
        {},
        versions={package: version(package) for package in (PACKAGES[name] for name in others)},
        courses=courses,
        striate=ours,
    )


def told(point: Point) -> str:
    """Return a point as a cell of the table."""
    return f"{point[0]:.1f} s: {point[1]:.4f}"


def main() -> None:
    """Take the courses."""
    options = read_options(__doc__, [DATA], quick=[DATA], rounds=1)
    print_header("trained by", "epochs", "after the first", "at the end")
    if is_here(DATA):
        compare(options)


if __name__ == "__main__":
    main()
