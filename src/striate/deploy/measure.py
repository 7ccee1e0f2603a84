"""Measuring a finished run or model file on its own or on other pictures."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from striate.core.device import choose_device
from striate.core.errors import DataError, ModelFileError, SettingsError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, Splits
from striate.data.sources import load_data
from striate.evaluation import Evaluation, evaluate
from striate.evaluation.evaluate import prediction_header, prediction_rows
from striate.runs.atomic import replace_file
from striate.runs.folder import Run
from striate.runs.model_file import load_model


def measure(
    path: Path, data: str | None, part: str | None, data_dir: Path | None = None, device: str = "auto"
) -> tuple[Evaluation, ImageDataset]:
    """Return the evaluation of a run (or model file) and the pictures it was measured on.

    Args:
        path: A run folder or a model file.
        data: Other data; a run's own by default.
        part: 'test', 'val' or 'train'; by default the first of test and val that exists, else all pictures.

    Raises:
        StriateError: No such model, data or part, or classes and sizes that do not belong together.
    """
    loaded = load_model(path / "model.safetensors" if path.is_dir() else path, choose_device(device))
    spec = loaded.card.spec
    if data is None:
        splits = _own_data(path, data_dir)
    else:
        settings = DataSettings(
            data_dir=data_dir,
            img_size=min(spec.height, spec.width),
            crop=spec.crop and spec.crop[0],
            channels=spec.channels,
            resize=spec.resize,
            interpolation=spec.interpolation,
        )
        splits = load_data(data, settings)
    name, pictures = _choose_part(splits, part)
    return evaluate(loaded.model, _for_network(pictures, spec, splits.name), spec, name), pictures


def _own_data(path: Path, data_dir: Path | None) -> Splits:
    if not path.is_dir():
        raise SettingsError("a model file alone has no data", where=path, fix="striate evaluate MODEL DATA")
    run = Run.open(path)
    settings = run.config.settings
    if data_dir is not None:
        settings = settings.with_values(data_dir=data_dir)
    return run.open_data(settings)


def _choose_part(splits: Splits, part: str | None) -> tuple[str, ImageDataset]:
    parts = splits.parts()
    chosen = part or next(name for name in ("test", "val", "train") if name in parts)
    if chosen not in parts:
        raise SettingsError(
            f"the data have no part '{chosen}'", where=splits.name, fix=f"use --part {next(iter(parts))}"
        )
    return chosen, parts[chosen]


def _for_network(pictures: ImageDataset, spec: ImageSpec, name: str) -> ImageDataset:
    """Return the pictures with the network's class numbers, matched by name."""
    if pictures.input_shape != spec.picture_shape:
        raise DataError(
            f"pictures of C H W = {pictures.input_shape}; the network takes {spec.picture_shape}",
            where=name,
            fix="measure on data of the same kind",
        )
    unknown = [c for c in pictures.classes if c not in spec.classes]
    if unknown:
        raise ModelFileError(
            f"the network does not know: {', '.join(unknown)}",
            where=name,
            fix=f"its classes are {', '.join(spec.classes)}; leave the others out",
        )
    numbers = [spec.classes.index(c) for c in pictures.classes]
    labels = pictures.labels.clone().apply_(lambda label: numbers[label])
    return replace(pictures, labels=labels, classes=spec.classes)


def write_predictions(path: Path, result: Evaluation, pictures: ImageDataset) -> None:
    """Write each picture's probabilities as CSV, at once."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(prediction_header(pictures.classes))
    writer.writerows(prediction_rows(result, pictures))
    replace_file(path, text.getvalue().encode("utf-8", "surrogateescape"))
