"""Each document's own program beside `striate train`: from process start to the published accuracy on the test part.

    python -m benchmarks.documents --only mnist-cnn fashion-cnn --rounds 3

The document's program runs once: it takes minutes, and its speed hardly varies. It measures the test part after every
epoch and stops when it has reached the figure, or at the document's last epoch ('not reached': the ratio is then a
lower bound). Striate runs in every round, once before the document's program and then after it, each with its seed. Its
time is the median of the whole command's, its schedule fixed beforehand; a ratio counts where its mean test accuracy
over the rounds reaches the figure.

Favourable to the documents' programs: they choose their moment by the test part itself, keep nothing, and need not
say how good they are on the training part. Favourable to Striate: it measures the test part once, where they pay for
it after every epoch (a few per cent of it), and its settings may be chosen for the figure, where theirs
are the documents'. CIFAR-10 is here as JPEG files, which torchvision's ImageFolder decodes in
every epoch (but once in bird-plane, as in its document); Striate starts without a decoded picture, and decodes once.

Writes results/documents.json: a contest is replaced, the others stay. --quick is bird-plane alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import geometric_mean, mean, median

from benchmarks.contest import (
    Finished,
    Options,
    TrainRun,
    as_options,
    data_folder,
    is_here,
    keep,
    kept,
    print_header,
    print_row,
    read_options,
    run_program,
    say,
    striate_train,
)


@dataclass(frozen=True)
class Contest:
    """A published figure and what is to reach it.

    Args:
        data: As `striate train` takes them.
        target: Published accuracy.
        settings: Of `striate train`.
    """

    data: str
    target: float
    settings: dict[str, object]


ALL: dict[str, object] = {"val_share": 0}  # where the document holds none out
CONTESTS = {
    "mnist-cnn": Contest("mnist", 0.9914, {"epochs": 1}),
    "fashion-cnn": Contest("fashion-mnist", 0.9025, ALL | {"epochs": 1}),
    "fashion-resnet18": Contest("fashion-mnist", 0.9101, ALL | {"epochs": 2}),
    "cifar10-cnn": Contest("cifar10-jpeg", 0.70, ALL | {"epochs": 1}),
    "bird-plane": Contest("cifar10-jpeg:airplane,bird", 0.8765, ALL | {"epochs": 2, "batch_size": 64, "width": 0.25}),
    "smile-cnn": Contest("smiles", 0.90, {"epochs": 3, "img_size": 32}),
}


def run_document(name: str, options: Options, seed: int) -> Finished:
    """Run a document's program until it has reached the published figure."""
    contest = CONTESTS[name]
    module = f"benchmarks.documents.{name.replace('-', '_')}"
    folder = data_folder(contest.data)
    assert folder is not None
    return run_program(module, folder, *as_options({"target": contest.target, "seed": seed} | options.small))


def run_striate(name: str, options: Options, seed: int) -> TrainRun:
    """Run Striate's answer to the same figure."""
    return striate_train(CONTESTS[name].data, CONTESTS[name].settings | options.small, seed)


def compare(name: str, options: Options) -> None:
    """Run both, write a row and keep the contest."""
    contest = CONTESTS[name]
    say(f"{name}  striate")
    ours = [run_striate(name, options, 0)]
    say(f"{name}  document")
    document = run_document(name, options, 0)
    for seed in range(1, options.rounds):
        say(f"{name}  striate")
        ours.append(run_striate(name, options, seed))
    wall = median(run.wall_s for run in ours)
    accuracy = mean(run.test_accuracy for run in ours)
    ratio = document.wall_s / wall
    counts = accuracy >= contest.target
    keep(
        "documents",
        options.size,
        name,
        {"document": ratio} if counts else {},
        wanted=asdict(contest),
        document={"wall_s": round(document.wall_s, 2), **document.said},
        striate=[asdict(run) for run in ours],
    )
    print_row(
        name,
        f"{contest.target:.4f}",
        f"{document.wall_s:,.0f} s, {len(document.said['seconds'])} epochs",
        f"{document.said['test_accuracy'][-1]:.4f}{'' if document.said['reached'] else ', not reached'}",
        f"{wall:,.1f} s",
        f"{accuracy:.4f}{'' if counts else ', not reached'}",
        f"{ratio:.1f}" if counts else "–",
    )


def main() -> None:
    """Run the contests and say the geometric mean of all ratios that are kept."""
    options = read_options(__doc__, list(CONTESTS), quick=["bird-plane"])
    print_header("program", "published", "its time", "test accuracy", "Striate", "test accuracy", "times faster")
    for name in options.names:
        if is_here(CONTESTS[name].data):
            compare(name, options)
    contests = kept("documents", options.size).values()
    ratios = [contest["ratios"]["document"] for contest in contests if contest["ratios"]]
    if ratios:
        print(f"\nGeometric mean of the {len(ratios)} ratios kept: {geometric_mean(ratios):.1f}")


if __name__ == "__main__":
    main()
