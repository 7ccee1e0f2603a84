"""The three files of an export: itself, its proof, and its test vectors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from striate.core.errors import SettingsError
from striate.runs.atomic import AGAIN, naming_disk_errors, replace_file


def proof_place(place: Path) -> Path:
    """Return where an export's proof lies."""
    return place.with_name(f"{place.name}.proof.json")


def vectors_place(place: Path) -> Path:
    """Return where an export's test vectors lie."""
    return place.with_name(f"{place.name}.vectors.json")


def require_place(place: Path, suffix: str) -> None:
    """Refuse a name of another kind of file, a folder that is not there, and to write over files: SettingsError."""
    if place.suffix.lower() != suffix:
        raise SettingsError("not a name for this format", where=place, fix=f"end it in {suffix}")
    if not place.parent.is_dir():
        raise SettingsError("no such folder", where=place.parent, fix="make it first")
    try:
        there = [file for file in (place, proof_place(place), vectors_place(place)) if os.path.lexists(file)]
    except ValueError:
        there = []
    if there:
        raise SettingsError(
            "file exists", where=", ".join(str(file) for file in there), fix="remove it, or give another --out"
        )


def write_files(place: Path, content: bytes, proof: Mapping[str, JsonValue], vectors: Mapping[str, JsonValue]) -> None:
    """Write all three, the export last: where it is, the others are. What cannot be finished leaves none.

    Raises:
        ResourceError: The disk is full, or the folder cannot be written.
    """
    beside = {proof_place(place): _json(proof), vectors_place(place): _json(vectors)}
    try:
        for file, data in beside.items():
            replace_file(file, data, AGAIN)
        replace_file(place, content, AGAIN)
    except BaseException:
        with naming_disk_errors(place, 0, AGAIN):
            for file in beside:
                file.unlink(missing_ok=True)
        raise


def _json(value: Mapping[str, JsonValue]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
