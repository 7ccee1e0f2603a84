"""`striate train DATA --time-budget`: is the time kept within 10 %, and does more of it give a better network?

    python -m benchmarks.budget --only mnist --rounds 3

Wall time is that of the whole command, from process start to exit, and starts without a decoded picture. A budget is
kept where no round takes under 90 % or over 110 % of it, or is refused as too short for the machine; a larger one is
better where its mean test accuracy over the rounds is higher than that of the next smaller one. An epoch that the time
cuts off counts as one.

Writes results/budget.json: a data set is replaced, the others stay. --quick is 20 s on MNIST.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from statistics import mean, median

from benchmarks.contest import (
    Options,
    TrainRun,
    in_turn,
    is_here,
    keep,
    print_header,
    print_row,
    read_options,
    striate_within,
)
from benchmarks.ladder import spread
from striate.core.duration import read_duration

NAMES = ["mnist", "fashion-mnist", "cifar10-jpeg"]
BUDGETS = ["20s", "1m", "5m"]  # each more than the one before
TOLERANCE = 0.1  # share of the budget


def run_striate(data: str, budget: str, options: Options, seed: int) -> TrainRun | None:
    """Train for that time; None where it is refused."""
    return striate_within(budget, data, options.few, seed)


def worst_share(walls: Sequence[float], budget: str) -> float:
    """Return the share of the budget that is farthest from all of it."""
    seconds = read_duration(budget)
    assert seconds
    return max((wall / seconds for wall in walls), key=lambda share: abs(share - 1))


def compare(data: str, options: Options) -> None:
    """Run the budgets in turn, write a row each and keep the data set."""
    budgets = BUDGETS if options.size == "full" else BUDGETS[:1]
    runs = in_turn({budget: partial(run_striate, data, budget, options) for budget in budgets}, options.rounds)
    kept: dict[str, object] = {}
    before: float | None = None  # accuracy of the next smaller budget
    for budget, rounds in runs.items():
        of_it = [run for run in rounds if run is not None]
        if len(of_it) < len(rounds):
            kept[budget] = {"in_time": False, "refused": len(rounds) - len(of_it), "rounds": len(rounds)}
            print_row(data, budget, "refused as too short", "no", "–", "–", "–")
            continue
        walls, accuracies = [run.wall_s for run in of_it], [run.test_accuracy for run in of_it]
        share, accuracy = worst_share(walls, budget), mean(accuracies)
        in_time = abs(share - 1) <= TOLERANCE
        better = None if before is None else accuracy > before
        before = accuracy
        kept[budget] = {
            "worst_share": round(share, 4),
            "in_time": in_time,
            "test_accuracy": {"mean": accuracy, "deviation": spread(accuracies)},
            "better": better,
            "runs": [asdict(run) for run in of_it],
        }
        print_row(
            data,
            budget,
            f"{median(walls):.1f} s (at worst {100 * share:.1f} %)",
            "yes" if in_time else "no",
            f"{median(run.epochs for run in of_it):g}",
            f"{accuracy:.4f} ± {spread(accuracies):.4f}",
            "–" if better is None else "yes" if better else "no",
        )
    keep("budget", options.size, data, {}, budgets=kept)


def main() -> None:
    """Keep to the budgets on every data set."""
    options = read_options(__doc__, NAMES, quick=["mnist"])
    print_header("data", "budget", "wall time", "kept", "epochs", "test accuracy", "better than with less")
    for name in options.names:
        if is_here(name):
            compare(name, options)


if __name__ == "__main__":
    main()
