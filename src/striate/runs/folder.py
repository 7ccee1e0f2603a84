"""The run folder: everything a run leaves behind, and the only way processes talk about it.

config.json       data, settings (all of them, resolved), network, picture spec, the plan's reasons
environment.json  machine and versions
metrics.jsonl     one line per epoch
checkpoints/      step-000000123/ …, the newest two
figures/          first-batch.png, what the network saw first
schedule.json     why training ended, after how many steps, and how a time budget changed their number
files.csv         what became of each picture file (folders only)
fixes.csv         the relabelling and exclusions that were asked for, as they were when the run began
data-check.json   what the check of the data found before training
train.safetensors hashes of the training pictures, by which measuring tells those it has seen
snapshots.safetensors  first filters and last hidden layer on the way, for looking at (runs/snapshots.py)
transfer.json     how pretrained weights were used: the head, and whether fine-tuning was kept
model.safetensors the trained network; its presence means that the run is finished
evaluation.json   accuracy with interval, calibration, what is accepted, per class, confusion matrix, by part
predictions.csv   each measured picture with its (calibrated) probabilities, accepted or not
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from safetensors.torch import load, save
from torch import Tensor

from striate.core.errors import DataError, ModelFileError, ResourceError, SettingsError
from striate.core.paths import is_there, to_type, user_path
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import FileRecord, Splits
from striate.data.fixes import file_bytes
from striate.data.sources import open_data
from striate.data.sources.registry import locate_folder
from striate.models import Architecture
from striate.runs.atomic import naming_disk_errors, replace_csv, replace_file, sync_directory, write_durably
from striate.runs.costs import Costs
from striate.runs.data_changes import data_changes
from striate.runs.estimate import Estimate
from striate.runs.progress import Progress

HASHES = "train.safetensors"
FIXES = "fixes.csv"
LONGEST_NAME = 200  # bytes; file systems stop at 255
MAY_CHANGE = frozenset({"device", "data_dir", "checkpoint_every"})  # settings without effect on the result
_MACHINE = ("torch", "device_name", "threads", "device")
_FORBIDDEN = re.compile(r"[\x00-\x1f/\\]|^\.|^-|\.tmp-|^\s*$")


class RunConfig(BaseModel):
    """The content of config.json: what was asked for, and everything that was chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    striate: str
    data: str
    fingerprint: str
    settings: TrainSettings
    given: Mapping[str, JsonValue] = Field(default_factory=dict)
    architecture: Architecture
    spec: ImageSpec
    reasons: Mapping[str, str] = Field(default_factory=dict)
    precision_race: Mapping[str, JsonValue] = Field(default_factory=dict)
    costs: Costs | None = None
    estimate: Estimate | None = None
    fixes_sha256: str | None = None

    @field_validator("settings")
    @classmethod
    def _complete(cls, settings: TrainSettings) -> TrainSettings:
        length = "epochs" if settings.time_budget is None else "time_budget"
        needed = () if settings.transfers else (length,)  # of pretrained weights the head alone may be trained
        missing = [key for key in (*needed, "batch_size", "lr", "model") if getattr(settings, key) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)} not set")
        return settings

    @model_validator(mode="after")
    def _planned(self) -> RunConfig:
        if self.settings.time_budget is not None and self.costs is None:
            raise ValueError("costs: a time budget was planned by them")
        return self

    def was_given(self, key: str, value: object) -> bool:
        """Return whether the run was begun with this value of a setting, whatever the plan made of it."""
        return key in self.given and self.given[key] == (str(value) if isinstance(value, Path) else value)

    def digest(self) -> str:
        """Return the SHA-256 of everything that decides the result: settings, network, pictures."""
        text = self.settings.model_dump_json(exclude=set(MAY_CHANGE))
        rest = self.model_dump_json(include={"architecture", "spec", "fingerprint"})
        return hashlib.sha256((text + rest).encode()).hexdigest()


class Run:
    """A run folder, held by one process at a time while it trains.

    Args:
        path: The folder.
        config: The content of its config.json.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.config = config
        self.progress = Progress()
        self.stop_signal: int | None = None
        self.notes: list[str] = []
        self._unlock: weakref.finalize[..., Run] | None = None

    @classmethod
    def create(
        cls,
        out: Path,
        name: str | None,
        default_name: str,
        config: RunConfig,
        environment: object,
        fixes: bytes | None = None,
    ) -> Run:
        """Make a new folder with its config, and the fixes.csv it trains with, all at once, and lock it.

        Without a name the first free of 'default', 'default-2', 'default-3' … is taken.

        Raises:
            SettingsError: The name is taken or is no folder name.
            ResourceError: The folder cannot be written.
        """
        if name is not None and (_FORBIDDEN.search(name) or len(os.fsencode(name)) > LONGEST_NAME):
            fix = f"use letters, digits, '-' and '_', {LONGEST_NAME} at most"
            raise SettingsError("not a name for a run folder", where=repr(name), fix=fix)
        if str(out).startswith("~"):  # what is left of it where there is no such user
            raise SettingsError("no such user's home folder", where=out, fix="write the path out, or './~…'")
        files = {
            "config.json": config.model_dump_json(indent=1).encode(),
            "environment.json": json.dumps(environment, indent=1).encode(),
        }
        if fixes is not None:
            files[FIXES] = fixes
        temporary = out / f".new.tmp-{os.getpid()}"
        with naming_disk_errors(out, sum(len(data) for data in files.values())):
            try:
                temporary.mkdir(parents=True)
                for file, data in files.items():
                    write_durably(temporary / file, data)
                sync_directory(temporary)
                path = _claim(temporary, out, name, default_name)
                sync_directory(out)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        run = cls(path, config)
        run.lock()
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Return the run in a folder.

        Raises:
            SettingsError: There is no run here.
            ModelFileError: Its config.json is damaged.
        """
        file = path / "config.json"
        if not is_there(file):
            raise SettingsError(
                "not a run folder (no config.json)", where=path, fix="give a folder made by striate train"
            )
        try:
            return cls(path, RunConfig.model_validate_json(file.read_bytes()))
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            reason = f"{place}: {problem['msg']}" if place else problem["msg"]
            raise ModelFileError(
                f"config.json is damaged or of another version ({reason})", where=path, fix="start a new run"
            ) from None

    @property
    def model_path(self) -> Path:
        """Path of the model file."""
        return self.path / "model.safetensors"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def is_finished(self) -> bool:
        """Whether the run has been trained and measured to its end."""
        return self.model_path.is_file()

    @property
    def spec(self) -> ImageSpec:
        """How pictures become inputs."""
        return self.config.spec

    def lock(self) -> None:
        """Hold the folder until it is released or forgotten; ResourceError where another process holds it."""
        with naming_disk_errors(self.path / ".lock", 0):
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise ResourceError(
                "another process is training in this run folder",
                where=self.path,
                fix="wait for it, or use another --name",
            ) from None
        self._unlock = weakref.finalize(self, os.close, descriptor)
        for leftover in self.path.glob("*.tmp-*"):  # of a write that was cut off
            leftover.unlink()

    def release(self) -> None:
        """Let the folder go."""
        if self._unlock is not None:
            self._unlock()

    def open_data(self, settings: TrainSettings) -> Splits:
        """Return the run's data as they were when it began.

        Args:
            settings: The run's own, but for where data sets are looked for.

        Raises:
            DataError: They are missing, or have changed since.
        """
        settings = self.with_own_fixes(settings)
        place, _ = locate_folder(self.config.data, settings.data_dir)
        if place is not None and not is_there(place):
            raise DataError(
                "the run's pictures are no longer here",
                where=place,
                fix="put them back there, or start a new run where they are now",
            )
        splits = open_data(self.config.data, settings, settings.seed)
        if splits.fingerprint() != self.config.fingerprint:
            changes = data_changes(self.path, self.training_hashes(), splits)
            raise DataError(
                "\n".join(["the data have changed since the run began", *changes]),
                where=self.config.data,
                fix="put them back as they were; or start a new run, or evaluate on what is there now by naming it",
            )
        return splits

    def with_own_fixes(self, settings: TrainSettings) -> TrainSettings:
        """Return settings of the run's with the fixes.csv that it keeps in place of the user's, who may go on with it.

        Raises:
            DataError: It is not what the run began with.
        """
        if settings.fixes is None:
            return settings
        own = self.path / FIXES
        if hashlib.sha256(file_bytes(own)).hexdigest() != self.config.fixes_sha256:
            raise DataError("not the fixes that the run began with", where=own, fix="put them back, or start a new run")
        return settings.with_values(fixes=own)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add one epoch's line to metrics.jsonl."""
        text = json.dumps(line) + "\n"
        with (
            naming_disk_errors(self.path / "metrics.jsonl", len(text)),
            open(self.path / "metrics.jsonl", "a") as file,
        ):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; one that a kill or a disk has damaged is left out."""
        file = self.path / "metrics.jsonl"
        texts = file.read_bytes().splitlines() if file.exists() else []
        return [line for text in texts if (line := _metrics_line(text)) is not None]

    def keep_metrics_before(self, epoch: int) -> None:
        """Drop the lines of epochs that will be trained again after a resume (epochs count from 1)."""
        kept = [line for line in self.metrics() if line["epoch"] < epoch]
        missing = sorted(set(range(1, epoch)) - {line["epoch"] for line in kept})
        if missing:
            self.notes.append(f"metrics.jsonl has no line of epoch {', '.join(map(str, missing))}")
        replace_file(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())

    def note_another_machine(self, now: Mapping[str, Any]) -> None:
        """Note where this machine differs from the one the run began on in what may change a result's last bits."""
        try:
            before = json.loads((self.path / "environment.json").read_bytes())
            told = [f"{key} {before.get(key)} → {now[key]}" for key in _MACHINE if before.get(key) != now[key]]
        except (OSError, ValueError, AttributeError):
            told = ["environment.json is missing or damaged"]
        if told:
            self.notes.append(f"the machine may differ ({', '.join(told)}): the result may differ in the last bits")

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file into the folder, at once."""
        replace_file(self.path / name, (json.dumps(value, indent=1) + "\n").encode())

    def write_files(self, files: Iterable[FileRecord]) -> None:
        """Write files.csv: what became of each file of the data."""
        self.write_csv("files.csv", ["path", "part", "class", "status", "reason"], files)

    def write_training_hashes(self, hashes: Tensor) -> None:
        """Write the hashes of the training pictures, int64 N, so that measuring can tell which it has seen."""
        replace_file(self.path / HASHES, save({"hashes": hashes.sort().values}))

    def training_hashes(self) -> Tensor:
        """Return the hashes of the training pictures; none where the file is missing or damaged."""
        try:
            return load((self.path / HASHES).read_bytes())["hashes"]
        except Exception:  # the parser's own exception type is not public
            return torch.empty(0, dtype=torch.int64)

    def write_csv(self, name: str, header: list[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a CSV file into the folder, at once; odd bytes in file names survive."""
        replace_csv(self.path / name, chain([header], rows))


def _claim(temporary: Path, out: Path, name: str | None, default_name: str) -> Path:
    """Rename the prepared folder to its final name; the rename fails where a run is already there."""
    number = 1
    while True:
        path = out / (name or (default_name if number == 1 else f"{default_name}-{number}"))
        try:
            if path.exists():  # an empty folder would be replaced silently
                raise FileExistsError
            temporary.rename(path)
            return path
        except OSError as error:
            if not path.exists():
                raise error
            if name is not None:
                raise SettingsError(
                    "run folder exists",
                    where=path,
                    fix=f"use another --name, or go on with  {to_type('striate', 'train', '--resume', path)}",
                ) from None
            number += 1


def _metrics_line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("epoch"), int) else None


def folder_name(data: str) -> str:
    """Return a run's default name from what the user called the data: 'cifar10:cat,dog' → 'cifar10-cat-dog'."""
    path = user_path(data)
    here = path.resolve() if is_there(path) else None
    base = data if here is None else here.name if here.is_dir() else here.stem  # of a table without its suffix
    return re.sub(r"[^\w.-]+", "-", base).strip("-.") or "run"


def newest_unfinished(out: Path) -> Path:
    """Return the unfinished run in `out` that was changed last and that no process is training.

    Raises:
        SettingsError: There is none.
    """
    candidates = [path.parent for path in out.glob("*/config.json")]
    ends = ("model.safetensors", "diverged.json")
    unfinished = [path for path in candidates if not any((path / end).exists() for end in ends)]
    free = [path for path in unfinished if not _is_held(path)]
    if not free:
        held = f" ({len(unfinished)} are being trained now)" if unfinished else ""
        raise SettingsError(f"no unfinished run to resume{held}", where=out, fix="name one: --resume RUN")
    return max(free, key=lambda path: path.stat().st_mtime)


def _is_held(path: Path) -> bool:
    try:
        with open(path / ".lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock yet, or not ours to open: resuming it will tell
        return False
    return False
