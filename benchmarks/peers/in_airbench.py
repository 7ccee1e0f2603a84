"""CIFAR-10 by airbench's own training, as its README has it: python -m benchmarks.peers.in_airbench 94 FOLDER.

    python -c "import airbench; airbench.warmup94(); airbench.train94()"

FOLDER holds cifar10/train.pt and cifar10/test.pt, in which airbench keeps the pictures that it has downloaded.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import torch


def read_table(printed: str) -> tuple[float, float]:
    """Return training seconds and test accuracy (of averaged views) from the table that a training prints.

    Its rows are the epochs, with the seconds so far, and then the final test.
    """
    lines = [line.strip("|") for line in printed.splitlines() if line.startswith("|")]
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    *_, last, final = [dict(zip(head, row, strict=True)) for row in rows]
    assert final["epoch"] == "eval"
    return float(last["total_time_seconds"]), float(final["tta_val_acc"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=["94", "96"], help="per cent, by which its trainings are named")
    parser.add_argument("folder", type=Path, help="of the pictures")
    parser.add_argument("--epochs", type=int, help="in place of its own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.chdir(options.folder)
    airbench = import_module("airbench")
    warm_up, train = (getattr(airbench, f"{verb}{options.figure}") for verb in ("warmup", "train"))
    torch.manual_seed(options.seed)
    printed = io.StringIO()
    with redirect_stdout(sys.stderr):
        warm_up()
    with redirect_stdout(printed):
        train(**({} if options.epochs is None else {"epochs": options.epochs}))
    print(printed.getvalue(), file=sys.stderr)
    seconds, accuracy = read_table(printed.getvalue())
    print(json.dumps({"training_s": seconds, "test_accuracy": accuracy}))


if __name__ == "__main__":
    main()
