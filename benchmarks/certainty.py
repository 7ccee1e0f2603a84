"""Does a network know what it does not know? `striate train fashion-mnist --epochs 1 --error-rate 0.01`.

    python -m benchmarks.certainty --rounds 5

One epoch, so that there are mistakes to be unsure of. Of each seed, on the test part, which neither temperature nor
threshold has seen: the expected calibration error before and after the temperature; the share of answers that are
accepted; the share of these that is wrong, with its 95 % interval (Wilson). The promise is that of what is accepted at
most 1 % is wrong, with a probability of 90 % over the choice of the validation pictures: a run keeps it where its share
is no more, and nine runs in ten should.

Writes results/certainty.json. --quick is one seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contest import (
    Options,
    as_options,
    in_turn,
    is_here,
    keep,
    print_header,
    print_row,
    read_options,
    run_program,
)

DATA = "fashion-mnist"
ERROR_RATE = 0.01
SETTINGS: dict[str, object] = {"epochs": 1, "error_rate": ERROR_RATE}
FEW: dict[str, object] = {"first": 200}  # of a rehearsal; the validation part, which the promise needs, stays whole


@dataclass(frozen=True)
class Certainty:
    """What one run's network knows of its certainty on the test part.

    Args:
        ece_before, ece_after: Expected calibration error without and with the temperature.
        accepted: Share of the pictures whose answer is accepted.
        error: Share of the accepted answers that is wrong; None where none is accepted.
        error_interval_95: Its 95 % interval.
    """

    seed: int
    accuracy: float
    ece_before: float
    ece_after: float
    accepted: float
    error: float | None
    error_interval_95: tuple[float, float]

    @property
    def keeps_the_promise(self) -> bool:
        """Whether at most as many accepted answers are wrong as was asked for."""
        return self.error is None or self.error <= ERROR_RATE


def read_certainty(evaluation: Mapping[str, Any], seed: int) -> Certainty:
    """Return the figures of a part of evaluation.json."""
    accepted, calibration = evaluation["accepted"], evaluation["calibration"]
    low, high = accepted["interval_95"]  # of being right
    return Certainty(
        seed=seed,
        accuracy=evaluation["accuracy"],
        ece_before=calibration["before"]["ece"],
        ece_after=calibration["after"]["ece"],
        accepted=accepted["coverage"],
        error=(accepted["count"] - accepted["correct"]) / accepted["count"] if accepted["count"] else None,
        error_interval_95=(1 - high, 1 - low),
    )


def measure(options: Options, seed: int) -> Certainty:
    """Train once, in a process of its own."""
    settings = {**SETTINGS, **(FEW if options.size == "rehearsal" else {})}
    with tempfile.TemporaryDirectory() as folder:
        out = ["--seed", seed, "--out", folder, "--name", "run", "--json", "--quiet"]
        run_program("striate.cli.entry", "train", DATA, *as_options(settings), *out)
        evaluation = json.loads(Path(folder, "run", "evaluation.json").read_bytes())
    return read_certainty(evaluation["test"], seed)


def main() -> None:
    """Measure every seed, a row each, and how many keep the promise."""
    options = read_options(__doc__, [DATA], quick=[DATA], rounds=5)
    if not is_here(DATA):
        return
    print_header("seed", "accuracy", "calibration error before", "after", "accepted", "wrong among accepted", "kept")
    runs = in_turn({DATA: lambda seed: measure(options, seed)}, options.rounds)[DATA]
    for run in runs:
        low, high = run.error_interval_95
        wrong = "–" if run.error is None else f"{100 * run.error:.2f} % ({100 * low:.2f}–{100 * high:.2f})"
        print_row(
            str(run.seed),
            f"{run.accuracy:.4f}",
            f"{run.ece_before:.4f}",
            f"{run.ece_after:.4f}",
            f"{100 * run.accepted:.1f} %",
            wrong,
            "yes" if run.keeps_the_promise else "no",
        )
    kept = sum(run.keeps_the_promise for run in runs) / len(runs)
    keep("certainty", options.size, DATA, {}, error_rate=ERROR_RATE, kept=kept, runs=[asdict(run) for run in runs])


if __name__ == "__main__":
    main()
