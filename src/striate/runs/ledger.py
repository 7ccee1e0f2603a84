"""A run's files.csv, read back: the picture files that it used."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NAME = "files.csv"
_USED = ("used", "fixed")  # fixed: used, but not as it came


class UsedFile(NamedTuple):
    """What the run took a file for.

    Args:
        part: 'train', 'val' or 'test'.
        label: Its class.
    """

    part: str
    label: str


def used_files(folder: Path) -> dict[str, UsedFile]:
    """Return each picture that the run in a folder used, by its path; nothing where that is not to be read."""
    with (
        suppress(OSError, csv.Error, KeyError),
        open(folder / NAME, newline="", encoding="utf-8", errors="surrogateescape") as opened,
    ):
        return {
            row["path"]: UsedFile(row["part"], row["class"]) for row in csv.DictReader(opened) if row["status"] in _USED
        }
    return {}
