"""metrics.jsonl: one line per epoch, written as it ends, readable after any kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from striate.runs.atomic import naming_disk_errors, replace_file

NAME = "metrics.jsonl"


def append_line(folder: Path, line: Mapping[str, Any]) -> None:
    """Add one epoch's line, durably."""
    text = json.dumps(line) + "\n"
    with naming_disk_errors(folder / NAME, len(text)), open(folder / NAME, "a") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines; one that a kill or a disk has damaged is left out."""
    file = folder / NAME
    texts = file.read_bytes().splitlines() if file.exists() else []
    return [line for text in texts if (line := _line(text)) is not None]


def keep_before(folder: Path, epoch: int) -> list[int]:
    """Drop the lines of an epoch (from 1) and those after it, and return which of those before have no line."""
    kept = [line for line in read_lines(folder) if line["epoch"] < epoch]
    replace_file(folder / NAME, "".join(json.dumps(line) + "\n" for line in kept).encode())
    return sorted(set(range(1, epoch)) - {line["epoch"] for line in kept})


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("epoch"), int) else None
