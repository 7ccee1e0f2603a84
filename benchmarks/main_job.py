"""The main job: `striate train NAME` with no option, from process start to the finished run folder.

    python benchmarks/main_job.py --seeds 3

Writes results/main_job.json: wall times and test accuracies of each data set, with the machine described.
A data set that is not on this machine is left out by name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from striate.core.device import choose_device, describe_machine
from striate.data.sources import SOURCES

NAMES = ("digits", "mnist", "fashion-mnist")
RESULT = Path(__file__).parent / "results" / "main_job.json"


def one_run(name: str, seed: int) -> dict[str, Any]:
    """Return wall time in seconds and test accuracy of one run in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "striate.cli.entry", "train", name, "--seed", str(seed)]
        start = time.perf_counter()
        done = subprocess.run([*command, "--out", out, "--json", "--quiet"], capture_output=True, text=True, check=True)
        wall = time.perf_counter() - start
        config = json.loads((Path(out) / name / "config.json").read_text())
    result = json.loads(done.stdout)
    return {
        "seed": seed,
        "wall_s": round(wall, 1),
        "test_accuracy": result["test"]["accuracy"],
        "epochs": config["settings"]["epochs"],
        "precision": config["settings"]["precision"],
    }


def main() -> None:
    """Run every data set with every seed, print a table and keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    machine = describe_machine(choose_device())
    results: dict[str, Any] = {"machine": machine, "command": "striate train NAME", "runs": {}}
    print("| data | wall time (median) | test accuracy (mean, lowest) | runs |\n|---|---|---|---|")
    for name in NAMES:
        if SOURCES[name].find(None) is None:
            print(f"| {name} | left out: not on this machine | | |")
            continue
        runs = [one_run(name, seed) for seed in range(options.seeds)]
        results["runs"][name] = runs
        walls, accuracies = [r["wall_s"] for r in runs], [r["test_accuracy"] for r in runs]
        print(
            f"| {name} | {median(walls):.1f} s | {100 * mean(accuracies):.2f} %, {100 * min(accuracies):.2f} % "
            f"| {len(runs)} |",
            flush=True,
        )
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
