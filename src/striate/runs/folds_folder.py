"""NAME-folds: what the runs of a cross-validation came to together. It is no run; its runs stand beside it."""

from __future__ import annotations

import json
from pathlib import Path

SUMMARY, PREDICTIONS = "summary.json", "predictions.csv"
SUFFIX = "-folds"  # after the name that the runs have in common


def fold_runs(folder: Path) -> list[Path]:
    """Return the runs of a folder of folds, as they stand beside it now; none where it is no such folder."""
    try:
        folds = json.loads((folder / SUMMARY).read_bytes())["folds"]
        names = [Path(fold["run"]).name for fold in folds]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    beside = folder.parent if folder.name not in ("", "..") else folder.resolve().parent
    return [beside / name for name in names]


def folds_of(run: Path) -> Path | None:
    """Return the folder of what a fold and its others came to; None where there is none, or the run is no fold."""
    name, found, number = run.resolve().name.rpartition("-fold")
    folder = run.parent / f"{name}{SUFFIX}"
    return folder if found and number.isdigit() and fold_runs(folder) else None


def not_one_run(runs: list[Path]) -> tuple[str, str]:
    """Return what a folder of folds is, and what to name in its place, for the message of an error."""
    named = ", ".join(map(str, runs))
    return f"the results of {len(runs)} folds together, not one run", f"name one of its runs: {named}"
