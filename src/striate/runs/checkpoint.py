"""Checkpoints: a folder per step with tensors, state and a manifest of their SHA-256, written last.

A checkpoint is written under a temporary name, synced file by file, renamed, and its parent synced, so
a folder with its final name is complete. The manifest is verified on reading all the same: disks and
power cuts do not keep promises. The newest valid checkpoint wins; a bad one is named and set aside,
never deleted. Tensors are safetensors, everything else is JSON: nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from striate.core.errors import ModelFileError
from striate.runs.atomic import naming_disk_errors, sync_directory, write_durably

KEEP = 2
TENSORS, STATE, MANIFEST = "state.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on from the end of a step.

    Args:
        step: Steps done.
        tensors: Weights, averages, optimizer state, sums of the epoch so far.
        state: Plain JSON values: epoch, best result so far, …
    """

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into `folder`, remove all but the newest ones, and return its path.

    Raises:
        ResourceError: The disk refused; earlier checkpoints are as they were.
    """
    final = folder / f"step-{checkpoint.step:09d}"
    if final.exists():  # the same step of the same run is the same state
        return final
    files = {
        TENSORS: save({name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}),
        STATE: json.dumps({"step": checkpoint.step, **checkpoint.state}, indent=1).encode(),
    }
    manifest = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    temporary = folder / f"{final.name}.tmp-{os.getpid()}"
    with naming_disk_errors(final, sum(len(data) for data in files.values())):
        try:
            temporary.mkdir(parents=True)
            for name, data in files.items():
                write_durably(temporary / name, data)
            write_durably(temporary / MANIFEST, json.dumps(manifest, indent=1).encode())
            sync_directory(temporary)
            temporary.rename(final)
            sync_directory(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    for old in _finished(folder)[:-KEEP]:
        # under its own name, a folder that a kill leaves half removed would look like a checkpoint
        leaving = old.rename(old.with_name(f"{old.name}.tmp-{os.getpid()}"))
        shutil.rmtree(leaving, ignore_errors=True)
    return final


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest valid checkpoint (None where there is none at all) and one line per bad one.

    Leftovers of a save that was cut off are removed; a bad checkpoint is renamed to '….bad'.

    Raises:
        ModelFileError: There are checkpoints, and every one of them is bad.
    """
    if not folder.is_dir():
        return None, []
    for leftover in folder.glob("step-*.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    problems: list[str] = []
    for path in reversed(_finished(folder)):
        try:
            return read_checkpoint(path), problems
        except ModelFileError as error:
            problems.append(f"checkpoint {path.name} is unusable ({error.what}); kept as {path.name}.bad")
            path.rename(_free_name(path.with_name(f"{path.name}.bad")))
    problems = problems or [f"{path.name} was found damaged before" for path in sorted(folder.glob("step-*.bad*"))]
    if problems:
        raise ModelFileError(
            "no usable checkpoint:\n" + "\n".join(f"  {line}" for line in problems),
            where=folder,
            fix="start over under another --name; nothing was deleted",
        )
    return None, problems


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a folder, verified against its manifest.

    Raises:
        ModelFileError: A file is missing, or is not what the manifest says.
    """
    verify_manifest(path)
    try:
        state = json.loads((path / STATE).read_bytes())
        tensors = load((path / TENSORS).read_bytes())
        return Checkpoint(step=state.pop("step"), tensors=tensors, state=state)
    except Exception as error:  # whatever a damaged file makes of its reader
        raise ModelFileError(f"cannot be read ({error})", where=path) from None


def verify_manifest(path: Path) -> None:
    """Check every file of a checkpoint against size and SHA-256 in its manifest; ModelFileError if one differs."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        wanted = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ModelFileError("its manifest is missing or damaged", where=path) from None
    if set(wanted) != {TENSORS, STATE}:
        raise ModelFileError("its manifest does not name the two files of a checkpoint", where=path)
    for name, (size, digest) in wanted.items():
        try:
            data = (path / name).read_bytes()
        except OSError:
            raise ModelFileError(f"{name} is missing", where=path) from None
        if len(data) != size:
            raise ModelFileError(f"{name} has {len(data):,} of {size:,} bytes", where=path)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelFileError(f"{name} has changed since it was written", where=path)


def _free_name(path: Path) -> Path:
    """Return the path, numbered where it is taken."""
    number = 2
    free = path
    while free.exists():
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def _finished(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit())
