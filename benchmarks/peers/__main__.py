"""The same network, batch and epochs in Keras 3 (on PyTorch), fastai, a plain PyTorch loop and Striate.

    python -m benchmarks.peers --only fashion-cnn --rounds 3

Training pictures per second, without measuring; the time of an epoch that follows from it, and the test accuracy.
Striate runs in fp32, which the peers compute in, and with the precision that its race chooses. A peer that is not
installed is left out by name: pip install -c constraints.txt -e '.[bench]'.

Favourable to the peers: their pictures are decoded, as floats, in memory and already divided by 255 before the clock
starts, and they keep no figure of the training part (Striate normalises every batch from its pixels, counts what is
right and saves checkpoints); DataLoaders have no workers, which would be slower here. An image rate is the median over
a run's epochs; ratios are to the peer that is fastest, medians over the rounds.

Writes results/peers.json: a network is replaced, the others stay. --quick is one epoch of fashion-cnn on 20,000.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from statistics import mean, median

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
    striate_train,
    times,
)


@dataclass(frozen=True)
class Work:
    """What every contestant does with a network.

    Args:
        data: Data set.
        epochs: How long.
        settings: Of `striate train` beside its recipe, so that it has the training pictures that the peers have.
    """

    data: str
    epochs: int
    settings: dict[str, object]


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    Args:
        images: Training pictures.
        images_per_second: The median over the epochs.
    """

    images: int
    images_per_second: float
    test_accuracy: float


WORK = {
    "fashion-cnn": Work("fashion-mnist", 3, {"val_share": 0}),
    "mnist-cnn": Work("mnist", 2, {}),  # recipe and document hold out as many pictures
    "cifar10-cnn": Work("cifar10-jpeg", 2, {"val_share": 0}),
}
PEERS = {"Keras": "keras", "fastai": "fastai", "PyTorch": "torch"}  # and the package each needs
OURS = {"Striate, fp32": "fp32", "Striate": "auto"}
QUICK: dict[str, object] = {"first": 20_000, "epochs": 1}


def run_peer(package: str, name: str, small: dict[str, object], seed: int) -> Outcome:
    """Train in another library."""
    work = WORK[name]
    folder = data_folder(work.data)
    assert folder is not None
    given = as_options({"seed": seed, "epochs": work.epochs} | small)
    said = run_program(f"benchmarks.peers.in_{package}", name, folder, *given).said
    rate = median(said["images"] / seconds for seconds in said["training_s"])
    return Outcome(said["images"], rate, said["test_accuracy"][-1])


def run_striate(precision: str, name: str, small: dict[str, object], seed: int) -> Outcome:
    """Train the recipe of that network, whose optimizer and batch are the document's."""
    work = WORK[name]
    given = {"recipe": name, "precision": precision, "epochs": work.epochs} | work.settings | small
    run = striate_train(work.data, given, seed)
    return Outcome(run.images, run.images_per_second, run.test_accuracy)


def compare(name: str, options: Options) -> None:
    """Run all contestants in turn, write a row each and keep them."""
    small = QUICK if options.size == "quick" else options.small
    peers = {peer: package for peer, package in PEERS.items() if is_installed(package)}
    runs = in_turn(
        {peer: partial(run_peer, package, name, small) for peer, package in peers.items()}
        | {ours: partial(run_striate, precision, name, small) for ours, precision in OURS.items()},
        options.rounds,
    )
    images = {run.images for of_it in runs.values() for run in of_it}
    # a stratified part held out may differ by some pictures from one that is not
    assert max(images) - min(images) <= 10, f"{name}: not the same work, but epochs of {images} pictures"
    rates = {contestant: [run.images_per_second for run in of_it] for contestant, of_it in runs.items()}
    best = max(peers, key=lambda peer: median(rates[peer]))
    for contestant, of_it in runs.items():
        rate = median(rates[contestant])
        print_row(
            name,
            contestant,
            f"{rate:,.0f}",
            f"{max(images) / rate:.1f} s",
            f"{mean(run.test_accuracy for run in of_it):.4f}",
            f"{times(rates[contestant], rates[best]):.2f}",
        )
    keep(
        "peers",
        options.size,
        name,
        {f"{ours} / best peer": times(rates[ours], rates[best]) for ours in OURS},
        best_peer=best,
        versions={package: version(package) for package in peers.values()},
        work={**asdict(WORK[name]), **small},
        runs={contestant: [asdict(run) for run in of_it] for contestant, of_it in runs.items()},
    )


def main() -> None:
    """Compare on every network."""
    options = read_options(__doc__, list(WORK), quick=["fashion-cnn"])
    print_header("network", "trained by", "images/s", "epoch", "test accuracy", "× best peer")
    for name in options.names:
        if is_here(WORK[name].data):
            compare(name, options)


if __name__ == "__main__":
    main()
