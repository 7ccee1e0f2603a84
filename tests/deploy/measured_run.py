"""A finished run by its files alone: its config, and its predictions.csv with the rows that a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import FileRecord
from striate.models import Architecture
from striate.runs.config import RunConfig
from striate.runs.folder import Run

Row = Sequence[str]  # path, label, prediction, pixels
HEADER = ["path", "part", "index", "label", "prediction", "pixels"]


def write_run(
    place: Path, parts: dict[str, list[Row]], *, classes: Sequence[str] = ("cat", "dog"), multi_label: bool = False,
    side: int = 16, data: str = "photos", seconds: float | None = 7.5, files: Sequence[FileRecord] = (),
    **settings: object,
) -> Path:  # fmt: skip
    """Make a run folder whose parts have these rows, and return its path."""
    spec = ImageSpec(
        channels=1, height=side, width=side, classes=tuple(classes), mean=(0,), std=(1,), multi_label=multi_label
    )
    values = {"epochs": 2, "lr": 0.1, "batch_size": 8, "model": "fast", **settings}
    config = RunConfig(
        striate="0", data=data, fingerprint=f"{data} {side} {parts} {files}", settings=TrainSettings.parse(values),
        architecture=Architecture(name=str(values["model"])), spec=spec,
    )  # fmt: skip
    run = Run.create(place.parent, place.name, "x", config, {})
    rows = [
        [path, part, index, label, prediction, pixels]
        for part, given in parts.items()
        for index, (path, label, prediction, pixels) in enumerate(given)
    ]
    run.write_csv("predictions.csv", HEADER, rows)
    run.write_training_hashes(torch.arange(5))
    for epoch in (1, 2):
        run.append_metrics({"epoch": epoch, "seconds": 1.5})
    if seconds is not None:
        run.write_json("time.json", {"seconds": seconds})
    if files:
        run.write_files(files)
    run.model_path.write_bytes(b"not looked at")
    run.release()
    return run.path


def rows_of(right: Sequence[bool], label: str = "cat", wrong: str = "dog") -> list[Row]:
    """Return a row per picture, named by its number, that is right or wrong as given."""
    return [(f"{label}/{n}.png", label, label if one else wrong, f"{label}{n}") for n, one in enumerate(right)]
