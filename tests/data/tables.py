"""Tables of the pictures in a folder FOLDER/CLASS/picture, as their author would write them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path


def pictures_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))


def write_table(
    path: Path,
    header: Sequence[str] = ("path", "label"),
    row: Callable[[int, str], Sequence[str]] = lambda number, name: (name, name.split("/")[0]),
    separator: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """Write a table beside the pictures of its folder, with the cells that `row` gives for each."""
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows(row(number, name) for number, name in enumerate(pictures_of(path.parent)))
    return path
