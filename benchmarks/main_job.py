"""The main job: `striate train NAME` with no option, from process start to the finished run folder.

    python -m benchmarks.main_job --rounds 3

Writes results/main_job.json: a data set is replaced, the others stay. --quick leaves Fashion-MNIST out.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import mean, median

from benchmarks.contest import TrainRun, is_here, keep, print_header, print_row, read_options, say, striate_train

NAMES = ["digits", "mnist", "fashion-mnist"]


def main() -> None:
    """Run every data set with every seed, a row each."""
    options = read_options(__doc__, NAMES, quick=["digits", "mnist"])
    print_header("data", "wall time (median)", "test accuracy (mean, lowest)", "runs")
    for name in options.names:
        if name != "digits" and not is_here(name):  # the digits come with scikit-learn
            continue
        runs: list[TrainRun] = []
        for seed in range(options.rounds):
            say(f"round {seed + 1}/{options.rounds}  {name}")
            runs.append(striate_train(name, options.small, seed))
        keep("main_job", options.size, name, {}, runs=[asdict(run) for run in runs])
        accuracies = [run.test_accuracy for run in runs]
        print_row(
            name,
            f"{median(run.wall_s for run in runs):.1f} s",
            f"{100 * mean(accuracies):.2f} %, {100 * min(accuracies):.2f} %",
            str(len(runs)),
        )


if __name__ == "__main__":
    main()
