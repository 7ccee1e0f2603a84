"""Measuring a finished run or model file on its own or on other pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch

from striate.core.device import choose_device
from striate.core.errors import DataError, SettingsError
from striate.core.paths import file_status, is_there, to_type, user_path
from striate.core.registry import nearest
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.class_names import listed
from striate.data.dataset import ImageDataset, Splits
from striate.data.duplicates import picture_hashes
from striate.data.sources import SOURCES, load_data, open_data
from striate.data.sources.registry import locate_folder, subset_names
from striate.data.table_file import is_table
from striate.deploy.labelled import BEST_FIRST, Labelled, part_folders, read_labelled, require_known
from striate.deploy.labelled_table import has_parts, read_labelled_table
from striate.evaluation import Evaluation, SingleLabelEvaluation, evaluate
from striate.evaluation.evaluate import prediction_header, prediction_rows
from striate.explain.record.texts import seen_text
from striate.runs.atomic import replace_csv
from striate.runs.folder import Run
from striate.runs.model_file import LoadedModel, load_model


@dataclass(frozen=True)
class Measurement:
    """What a network does on labelled pictures.

    Args:
        result: The figures; `result.part` says which part was measured, 'all' for a folder that is not split.
        pictures: What was measured, with the network's class numbers.
        notes: What the reader of the figures must know, one sentence each.
    """

    result: Evaluation
    pictures: ImageDataset
    notes: tuple[str, ...] = ()


def measure(
    path: str | os.PathLike[str],
    data: str | None = None,
    part: str | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    skip_bad: bool = False,
) -> Measurement:
    """Return the measurement of a run or model file on labelled pictures.

    Args:
        path: A run folder or a model file.
        data: A data set by name, or a folder or table of pictures of any of the network's classes; a run's own by
            default.
        part: 'test', 'val' or 'train'; by default the first of them that exists, else all pictures. Of a folder
            that is not split but holds the run's own pictures, the part that the run made of them.
        data_dir: Folder that holds data sets by name.
        device: Where to compute.
        skip_bad: Leave out pictures of the folder that cannot be decoded.

    Raises:
        StriateError: No such model, data or part, or classes and sizes that do not belong together.
    """
    path = user_path(path, "a run folder or a model file")
    loaded = load_model(path, choose_device(device))
    return measured(loaded, path, labelled_pictures(path, loaded.card.spec, data, part, data_dir, skip_bad))


def labelled_pictures(
    path: Path,
    spec: ImageSpec,
    data: str | None = None,
    part: str | None = None,
    data_dir: Path | None = None,
    skip_bad: bool = False,
) -> Labelled:
    """Return the pictures that `measure` would measure a run or model file on, with the network's class numbers."""
    folder, only = (None, []) if data is None or data.partition(":")[0] in SOURCES else _folder(data, data_dir)
    if skip_bad and folder is None:
        raise SettingsError(
            "only a folder that is named here can have bad pictures", where="--skip-bad", fix="leave it out"
        )
    if folder is not None:
        return _from_folder(path, folder, only, spec, part, skip_bad)
    if data is not None:
        return part_of(_named(data, spec, data_dir), part, spec)
    return part_of(own_data(path, data_dir), part, spec)


def measured(loaded: LoadedModel, path: Path, labelled: Labelled) -> Measurement:
    """Return the measurement of the network in a run or model file on labelled pictures."""
    result = evaluate(
        loaded.model,
        labelled.pictures,
        loaded.card.spec,
        labelled.part,
        calibration=loaded.card.calibration,
        detector=loaded.detector,
    )
    notes = (*labelled.notes, *_without_pictures(result), *_seen_in_training(path, labelled))
    return Measurement(result, labelled.pictures, notes)


def _without_pictures(result: Evaluation) -> list[str]:
    """Return a sentence on the classes that the figures say nothing of."""
    missing = [score.name for score in result.per_class if not score.count]
    told = len(result.per_class) - len(missing)
    if not missing:
        return []
    sentence = f"no picture of {listed(missing)}: figures are of {told:,} of {told + len(missing):,} classes"
    answered = isinstance(result, SingleLabelEvaluation)  # of sets of classes each answer counts by itself
    return [sentence + ("; to take a picture for one of the others is wrong" if answered else "")]


def _seen_in_training(path: Path, labelled: Labelled) -> list[str]:
    """Return a warning where the network was trained on what is measured: that says nothing of new pictures."""
    if not (path / "config.json").is_file():
        return []
    trained = Run.open(path).training_hashes()
    count = int(torch.isin(picture_hashes(labelled.pictures.images), trained).sum())
    if not count:
        return []
    return [seen_text(count, len(labelled.pictures))]


def _folder(data: str, data_dir: Path | None) -> tuple[Path, list[str]]:
    folder, subset = locate_folder(data, data_dir)
    if folder is None or file_status(folder, DataError) is None:
        guess = nearest(data, SOURCES)
        hint = f"did you mean '{guess}'? " if guess else ""
        raise DataError(
            "no such data set or folder",
            where=data,
            fix=f"{hint}give a folder, a table, or one of {', '.join(SOURCES)}",
        )
    return folder, subset_names(subset)


def _from_folder(
    path: Path, folder: Path, only: list[str], spec: ImageSpec, part: str | None, skip_bad: bool
) -> Labelled:
    if is_table(folder):
        return _from_table(path, folder, only, spec, part, skip_bad)
    own = part is not None and not spec.multi_label and (path / "config.json").is_file()
    if own and not part_folders(folder, spec.classes):
        return part_of(_own_data_at(folder, Run.open(path)), part, spec)
    return read_labelled(folder, spec, part, skip_bad, only)


def _from_table(
    path: Path, table: Path, only: list[str], spec: ImageSpec, part: str | None, skip_bad: bool
) -> Labelled:
    run = Run.open(path) if (path / "config.json").is_file() else None
    columns = DataSettings() if run is None else run.config.settings
    if run is not None and part is not None and not has_parts(table, columns):
        return part_of(_own_data_at(table, run), part, spec)
    return read_labelled_table(table, spec, part, skip_bad, only, columns)


def _named(data: str, spec: ImageSpec, data_dir: Path | None) -> Splits:
    settings = DataSettings(
        data_dir=data_dir,
        img_size=min(spec.height, spec.width),
        crop=spec.crop and spec.crop[0],
        channels=spec.channels,
        resize=spec.resize,
        interpolation=spec.interpolation,
    )
    return load_data(data, settings, least=1)


def own_data(path: Path, data_dir: Path | None) -> Splits:
    """Return the data that a run was made of; SettingsError of a model file, DataError where they are not there."""
    if not path.is_dir():
        fix = f"name pictures: {to_type('striate', 'evaluate', path)} FOLDER"
        raise SettingsError("a model file alone has no data", where=path, fix=fix)
    run = Run.open(path)
    place, _ = locate_folder(run.config.data, data_dir)
    if place is not None and not is_there(place):
        fix = f"name their new place: {to_type('striate', 'evaluate', path)} FOLDER --part test"
        raise DataError("the run's pictures are no longer here", where=place, fix=fix)
    settings = run.config.settings
    return run.open_data(settings if data_dir is None else settings.with_values(data_dir=data_dir))


def _own_data_at(folder: Path, run: Run) -> Splits:
    """Return the run's own data from where they lie now."""
    settings, fixes = run.config.settings, run.own_fixes()
    _, colon, subset = run.config.data.rpartition(":")
    here = os.path.abspath(folder)
    place = f"{here}:{subset}" if colon and "/" not in subset else here
    try:
        splits = open_data(place, settings, settings.seed, fixes)
        if splits.fingerprint() == run.config.fingerprint:
            return splits
    except (DataError, SettingsError):  # also of settings that only a table or a folder obeys
        pass
    raise SettingsError(
        "it has no parts, and does not hold the run's own pictures", where=folder, fix="leave --part out"
    )


def part_of(splits: Splits, part: str | None, spec: ImageSpec) -> Labelled:
    """Return a part's pictures with the network's class numbers, matched by name.

    Raises:
        StriateError: There is no such part, or its pictures or classes are not those the network takes.
    """
    parts = splits.parts()
    chosen = part or next(name for name in BEST_FIRST if name in parts)
    if chosen not in parts:
        fix = f"use --part {' or '.join(parts)}"
        raise SettingsError(f"the data have no part '{chosen}'", where=splits.name, fix=fix)
    pictures = parts[chosen]
    if pictures.input_shape != spec.picture_shape:
        raise DataError(
            f"pictures of C H W = {pictures.input_shape}; the network takes {spec.picture_shape}",
            where=splits.name,
            fix="measure on data of the same kind",
        )
    if pictures.multi_label != spec.multi_label:
        kinds = ("one class", "any number of classes")
        raise DataError(
            f"pictures of {kinds[pictures.multi_label]} each; the network tells {kinds[spec.multi_label]}",
            where=splits.name,
            fix="measure on data of the same kind",
        )
    data = (splits.source or splits.name).partition(":")[0]  # of a subset of a named data set its whole
    require_known(list(pictures.classes), spec, splits.name, data)
    if not len(pictures):
        fix = f"use --part {' or '.join(name for name, other in parts.items() if len(other)) or 'of other data'}"
        raise DataError(f"no picture in the part '{chosen}'", where=splits.source or splits.name, fix=fix)
    return Labelled(chosen, renumbered(pictures, spec, splits.name), ())


def renumbered(pictures: ImageDataset, spec: ImageSpec, where: str) -> ImageDataset:
    """Return pictures with the network's class numbers, matched by name; DataError where a class is not told of."""
    if not spec.multi_label:
        numbers = torch.tensor([spec.classes.index(name) for name in pictures.classes])
        return replace(pictures, labels=numbers[pictures.labels], classes=spec.classes)
    untold = [name for name in spec.classes if name not in pictures.classes]
    if untold:
        fix = f"measure on data with all of {', '.join(spec.classes)}"
        raise DataError(f"whether a picture is of {', '.join(untold)} is not known", where=where, fix=fix)
    return pictures.only_classes(spec.classes)


def write_predictions(path: Path, measured: Measurement) -> None:
    """Write each picture's probabilities as CSV, at once."""
    header = prediction_header(measured.pictures.classes)
    replace_csv(path, chain([header], prediction_rows(measured.result, measured.pictures)))
