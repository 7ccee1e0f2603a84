"""What has changed in the pictures since a run began, as far as its folder remembers them."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from striate.data.class_names import listed
from striate.data.dataset import Splits
from striate.data.duplicates import picture_hashes


def data_changes(folder: Path, trained: Tensor, now: Splits) -> list[str]:
    """Return a line for each kind of change: files added, removed, and of other pixels.

    Of files the run folder remembers the names, of training pictures the hashes too: what has changed in a held-out
    picture under its old name cannot be told.

    Args:
        folder: The run folder.
        trained: The hashes of the run's training pictures.
        now: The data as they are.
    """
    before = _used(folder / "files.csv")
    if not before:
        return []
    parts = {name: part for part, pictures in now.parts().items() for name in pictures.names}
    seen = torch.isin(picture_hashes(now.train.images), trained).tolist()
    other = [n for n, known in zip(now.train.names, seen, strict=True) if not known and before.get(n) == "train"]
    kinds = {
        "added": sorted(parts.keys() - before.keys()),
        "removed": sorted(before.keys() - parts.keys()),
        "with other pixels": sorted(other),
    }
    return [f"  {len(names):,} {kind}: {listed(names)}" for kind, names in kinds.items() if names]


def _used(file: Path) -> dict[str, str]:
    """Return the part of each picture that the run used, from its files.csv; nothing where that is not to be read."""
    with (
        suppress(OSError, csv.Error, KeyError),
        open(file, newline="", encoding="utf-8", errors="surrogateescape") as opened,
    ):
        return {row["path"]: row["part"] for row in csv.DictReader(opened) if row["status"] in ("used", "fixed")}
    return {}
