"""Time to accuracy, rung by rung: what a higher accuracy on the test part costs.

    python -m benchmarks.ladder --only fashion-mnist-0.93 --rounds 3

Each rung is one schedule of `striate train`, fixed beforehand and run with a seed per round, the rungs of one data
set in turn. A rung is reached where the mean test accuracy over the seeds is its figure or more. Wall time is that of
the whole command, decoding included.

Writes results/ladder.json: a rung is replaced, the others stay. --quick is the lowest rung of MNIST and Fashion-MNIST.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from statistics import mean, stdev

from benchmarks.contest import TrainRun, in_turn, is_here, keep, print_header, print_row, read_options, striate_train


@dataclass(frozen=True)
class Rung:
    """An accuracy and what reaches it.

    Args:
        data: Data set.
        target: Test accuracy.
        settings: Of `striate train`.
    """

    data: str
    target: float
    settings: dict[str, object]


RUNGS = {
    f"{rung.data}-{rung.target}": rung
    for rung in (
        Rung("mnist", 0.996, {"epochs": 4, "shift": 2}),
        Rung("fashion-mnist", 0.92, {"epochs": 2}),
        Rung("fashion-mnist", 0.93, {"epochs": 4}),
        Rung("fashion-mnist", 0.935, {"epochs": 6}),
        Rung("fashion-mnist", 0.945, {"time_budget": 350}),
        Rung("cifar10-jpeg", 0.85, {"epochs": 5}),
        Rung("cifar10-jpeg", 0.90, {"time_budget": 290}),
        Rung("cifar10-jpeg", 0.92, {"time_budget": 900}),
    )
}


def climb(rung: Rung, small: dict[str, object], seed: int) -> TrainRun:
    """Run a rung's schedule once."""
    return striate_train(rung.data, rung.settings | small, seed)


def spread(values: list[float]) -> float:
    """Return the standard deviation over the seeds, 0 of a single one."""
    return stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    """Climb each data set's rungs in turn, a row each."""
    options = read_options(__doc__, list(RUNGS), quick=["mnist-0.996", "fashion-mnist-0.92"])
    rungs = {name: RUNGS[name] for name in options.names}
    print_header("data", "test accuracy wanted", "reached", "wall time", "runs")
    for data in dict.fromkeys(rung.data for rung in rungs.values()):
        if not is_here(data):
            continue
        climbs = {name: partial(climb, rung, options.small) for name, rung in rungs.items() if rung.data == data}
        for name, runs in in_turn(climbs, options.rounds).items():
            walls, accuracies = [run.wall_s for run in runs], [run.test_accuracy for run in runs]
            reached = mean(accuracies) >= rungs[name].target
            figures = {
                "reached": reached,
                "test_accuracy": {"mean": mean(accuracies), "deviation": spread(accuracies)},
                "wall_s": {"mean": mean(walls), "deviation": spread(walls)},
            }
            runs_kept = [asdict(run) for run in runs]
            keep("ladder", options.size, name, {}, rung=asdict(rungs[name]), **figures, runs=runs_kept)
            print_row(
                data,
                f"{rungs[name].target:g}",
                f"{mean(accuracies):.4f} ± {spread(accuracies):.4f}{'' if reached else ', not reached'}",
                f"{mean(walls):.1f} ± {spread(walls):.1f} s",
                str(len(runs)),
            )


if __name__ == "__main__":
    main()
