"""The run folder: everything a run leaves behind, and the only way processes talk about it.

config.json       data, settings (all of them, resolved), network, picture spec, the plan's reasons
environment.json  machine and versions
metrics.jsonl     one line per epoch
checkpoints/      step-000000123/ …, the newest two
figures/          first-batch.png, what the network saw first; NAME.png, what `striate explain` drew
time.json         how long all of it took, from the start of the command
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
report.html       all of it for people, in one file, written last and again by `striate explain`
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.paths import is_there
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import FileRecord, Splits
from striate.data.fixes import Fixes, read_fixes
from striate.data.sources import open_data
from striate.data.sources.registry import locate_folder
from striate.runs.atomic import naming_disk_errors, replace_csv, replace_file, sync_directory, write_durably
from striate.runs.config import NAME as CONFIG
from striate.runs.config import RunConfig, read_config
from striate.runs.data_changes import data_changes
from striate.runs.folds_folder import fold_runs, not_one_run
from striate.runs.lock import hold
from striate.runs.metrics import append_line, keep_before, read_lines
from striate.runs.naming import claim, require_name
from striate.runs.progress import Progress
from striate.runs.spent import Spent, read_seconds

HASHES = "train.safetensors"
FIXES = "fixes.csv"
_MACHINE = ("torch", "device_name", "threads", "device")


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
        self.spent = Spent()
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
        require_name(out, name)
        files = {
            CONFIG: config.model_dump_json(indent=1).encode(),
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
                path = claim(temporary, out, name, default_name)
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
        if not is_there(path / CONFIG):
            if runs := fold_runs(path):
                what, fix = not_one_run(runs)
                raise SettingsError(what, where=path, fix=fix)
            raise SettingsError(
                "not a run folder (no config.json)", where=path, fix="give a folder made by striate train"
            )
        return cls(path, read_config(path))

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
    def seconds(self) -> float | None:
        """What the finished run took, from the start of the command; None where its folder does not say."""
        return read_seconds(self.path)

    @property
    def spec(self) -> ImageSpec:
        """How pictures become inputs."""
        return self.config.spec

    def lock(self) -> None:
        """Hold the folder until it is released or forgotten; ResourceError where another process holds it."""
        self._unlock = weakref.finalize(self, os.close, hold(self.path))
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
        place, _ = locate_folder(self.config.data, settings.data_dir)
        if place is not None and not is_there(place):
            raise DataError(
                "the run's pictures are no longer here",
                where=place,
                fix="put them back there, or start a new run where they are now",
            )
        splits = open_data(self.config.data, settings, settings.seed, self.own_fixes())
        if splits.fingerprint() != self.config.fingerprint:
            changes = data_changes(self.path, self.training_hashes(), splits)
            raise DataError(
                "\n".join(["the data have changed since the run began", *changes]),
                where=self.config.data,
                fix="put them back as they were; or start a new run, or evaluate on what is there now by naming it",
            )
        return splits

    def own_fixes(self) -> Fixes | None:
        """Return the run's own copy of its fixes, None without any: its user may go on with the file it was made of.

        Raises:
            DataError: It is not what the run began with.
        """
        if self.config.settings.fixes is None:
            return None
        own = self.path / FIXES
        fixes = read_fixes(own)
        if fixes is None or fixes.digest != self.config.fixes_sha256:
            raise DataError("not the fixes that the run began with", where=own, fix="put them back, or start a new run")
        return fixes

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add one epoch's line to metrics.jsonl."""
        append_line(self.path, line)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; one that a kill or a disk has damaged is left out."""
        return read_lines(self.path)

    def keep_metrics_before(self, epoch: int) -> None:
        """Drop the lines of epochs that will be trained again after a resume (epochs count from 1)."""
        missing = keep_before(self.path, epoch)
        if missing:
            self.notes.append(f"metrics.jsonl has no line of epoch {', '.join(map(str, missing))}")

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
