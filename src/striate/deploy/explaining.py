"""Explaining a finished run or model file: what is opened and measured for it, and the chapters in Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from striate.core.device import choose_device
from striate.core.errors import DataError, SettingsError, StriateError
from striate.core.paths import to_type, user_path
from striate.core.spec import ImageSpec
from striate.data.dataset import Splits
from striate.deploy.measure import labelled_pictures, measured, own_data, part_of, renumbered
from striate.deploy.pictures import Picture, picture_name, picture_pixels, several
from striate.explain.chapter import Chapter, Effort
from striate.explain.chapters import chosen_names, write_chapter
from striate.explain.hooks import find_layer
from striate.explain.subject import Given, Subject
from striate.runs.folder import Run
from striate.runs.model_file import load_model

MAX_GIVEN = 64  # pictures explained at a time: each gets figures of its own


@dataclass(frozen=True, eq=False)
class Opened:
    """A run or model file, ready to be explained.

    Args:
        subject: What is explained.
        notes: What the reader must know of the pictures, one sentence each.
        refused: Why pictures that were given cannot be explained.
    """

    subject: Subject
    notes: Sequence[str] = ()
    refused: Sequence[DataError] = ()


def open_subject(
    path: str | os.PathLike[str],
    images: Picture | Iterable[Picture] | None = None,
    *,
    data: str | None = None,
    part: str | None = None,
    data_dir: Path | None = None,
    layer: str | None = None,
    device: str = "auto",
) -> Opened:
    """Return a run or model file with what it does on labelled pictures.

    Args:
        path: A run folder or a model file.
        images: Pictures to explain, as `Predictor.predict` takes them; the first 64.
        data: Labelled pictures: a data set by name, a folder or a table; the run's own by default.
        part: 'test', 'val' or 'train'; by default the first of them that exists, else all pictures.
        data_dir: Folder that holds data sets by name.
        layer: The stage or module to look at.
        device: Where to compute.

    Raises:
        StriateError: No such model, data, part or layer, or pictures that do not belong to the network.
    """
    path = user_path(path, "a run folder or a model file")
    loaded = load_model(path, choose_device(device))
    spec = loaded.card.spec
    if layer is not None:
        find_layer(loaded.model, layer)
    splits = _own_data(path, data_dir) if data is None else None
    labelled = part_of(splits, part, spec) if splits else labelled_pictures(path, spec, data, part, data_dir)
    given, refused, more = (None, [], False) if images is None else take_given(images, spec)
    result = measured(loaded, path, labelled)
    own = {} if splits is None else splits.parts()
    parts = {name: renumbered(pictures, spec, name) for name, pictures in own.items()}
    subject = Subject(
        loaded.model,
        loaded.card,
        labelled.pictures,
        result.result,
        parts.get("train"),
        Run.open(path) if path.is_dir() else None,
        given,
        layer,
        parts,
    )
    notes = [*result.notes, *([f"the first {MAX_GIVEN} pictures are explained"] if more else [])]
    return Opened(subject, notes, refused)


def _own_data(path: Path, data_dir: Path | None) -> Splits:
    if not path.is_dir():
        fix = f"name labelled ones: {to_type('striate', 'explain', path)} --data FOLDER"
        raise SettingsError("a model file alone has no pictures to be explained by", where=path, fix=fix)
    try:
        return own_data(path, data_dir)
    except DataError as error:
        fix = f"name pictures like them: {to_type('striate', 'explain', path)} --data FOLDER"
        raise DataError(error.what, where=error.where, fix=fix) from None


def take_given(images: Picture | Iterable[Picture], spec: ImageSpec) -> tuple[Given | None, list[DataError], bool]:
    """Return pictures as the network takes them, why others cannot be used, and whether there are more than 64.

    Raises:
        DataError: None of them can be used.
    """
    pixels, names, refused = [], [], []
    numbered = enumerate(several(images))
    for number, picture in islice(numbered, MAX_GIVEN):
        name = picture_name(picture, number)
        try:
            pixels.append(picture_pixels(picture, spec, name))
            names.append(name)
        except DataError as error:
            refused.append(error)
    more = next(numbered, None) is not None
    if not pixels and not refused:
        raise DataError("no picture to explain", fix="give one or more, or leave them out")
    given = Given(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), names) if pixels else None  # N C H W
    return given, refused, more


def chapters(
    run: str | os.PathLike[str],
    images: Picture | Iterable[Picture] | None = None,
    only: Sequence[str] | None = None,
    *,
    data: str | None = None,
    part: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    layer: str | None = None,
    device: str = "auto",
    effort: Effort = "full",
) -> list[Chapter]:
    """Return what a trained network has learned, decides by and mistakes, as chapters of figures, tables and values.

    Args:
        run: A run folder or a model file.
        images: Pictures to explain, as `Predictor.predict` takes them.
        only: Names of chapters, e.g. ['filters', 'saliency']; all by default.
        data: Labelled pictures, for a model file alone or in place of the run's own.
        part: Which part of them is looked at.
        data_dir: Folder that holds data sets by name.
        layer: The stage or module to look at.
        device: Where to compute.
        effort: 'quick' takes seconds, 'full' as long as it takes.

    Returns:
        The chapters in the order of a report. One that cannot be made of this run is there with the reason as its
        warning, and nothing else.

    Raises:
        StriateError: What cannot be opened or understood; of chapters that were asked for also why one cannot be made.
    """
    names = chosen_names(_texts(only))
    place = None if data_dir is None else user_path(data_dir)
    opened = open_subject(run, images, data=data, part=part, data_dir=place, layer=layer, device=device)
    if opened.refused:
        raise opened.refused[0]
    made: list[Chapter] = []
    for name in names:
        try:
            chapter = write_chapter(name, opened.subject, effort)
        except StriateError as error:
            if only is not None:
                raise
            chapter = Chapter(name, name, warnings=[str(error)])
        warnings = dict.fromkeys([*([] if made else opened.notes), *chapter.warnings])  # the summary repeats a note
        made.append(replace(chapter, warnings=list(warnings)))
    return made


def _texts(only: Sequence[str] | None) -> Sequence[str] | None:
    if only is None or (not isinstance(only, str) and all(isinstance(name, str) for name in only)):
        return only
    raise SettingsError("chapters are named in a list", where=f"only={only!r}", fix="only=['filters', 'saliency']")
