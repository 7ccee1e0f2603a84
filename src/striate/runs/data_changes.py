"""What has changed in the pictures since a run began, as far as its folder remembers them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from striate.data.class_names import listed
from striate.data.dataset import Splits
from striate.data.duplicates import picture_hashes
from striate.runs.ledger import used_files


def data_changes(folder: Path, trained: Tensor, now: Splits) -> list[str]:
    """Return a line for each kind of change: files added, removed, and of other pixels.

    Of files the run folder remembers the names, of training pictures the hashes too: what has changed in a held-out
    picture under its old name cannot be told.

    Args:
        folder: The run folder.
        trained: The hashes of the run's training pictures.
        now: The data as they are.
    """
    before = used_files(folder)
    if not before:
        return []
    parts = {name: part for part, pictures in now.parts().items() for name in pictures.names}
    seen = torch.isin(picture_hashes(now.train.images), trained).tolist()
    trained_on = {name for name, file in before.items() if file.part == "train"}
    other = [n for n, known in zip(now.train.names, seen, strict=True) if not known and n in trained_on]
    kinds = {
        "added": sorted(parts.keys() - before.keys()),
        "removed": sorted(before.keys() - parts.keys()),
        "with other pixels": sorted(other),
    }
    return [f"  {len(names):,} {kind}: {listed(names)}" for kind, names in kinds.items() if names]
