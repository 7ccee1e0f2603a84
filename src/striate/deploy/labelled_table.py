"""Labelled pictures for a trained network from a table, by the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from striate.core.errors import DataError, SettingsError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.cache import read_pictures
from striate.data.dataset import ImageDataset
from striate.data.parallel import require_readable
from striate.data.sources.columns import SETTINGS as COLUMN_SETTINGS
from striate.data.sources.columns import columns_read, find_columns
from striate.data.sources.table import class_labels, read_rows, refuse
from striate.data.table_file import Table, empty_rows, read_table
from striate.deploy.labelled import BEST_FIRST, Labelled, not_asked_for, require_known


def has_parts(path: Path, settings: DataSettings) -> bool:
    """Return whether a table says of its pictures what part they are of."""
    table = read_table(path)
    return find_columns(table, columns_as_in(settings, table)).split is not None


def columns_as_in(settings: DataSettings, table: Table) -> DataSettings:
    """Return the settings with those columns alone that this table has, and no groups: nothing is split here."""
    unknown = {key: None for key in COLUMN_SETTINGS if getattr(settings, key) not in ("", *table.header)}
    return settings.with_values(**{**unknown, "group_column": "", "group": None})


def read_labelled_table(
    path: Path,
    spec: ImageSpec,
    part: str | None = None,
    skip_bad: bool = False,
    only: Sequence[str] = (),
    settings: DataSettings | None = None,
) -> Labelled:
    """Return the pictures of a table: any of the network's classes, even one.

    Args:
        path: The table.
        spec: How the network wants pictures, and its classes.
        part: Which part, where the table has them; by default the first that exists of test, val and train.
        skip_bad: Leave out pictures that cannot be decoded, instead of naming them all.
        only: The classes to read; all by default. Of pictures with any number of classes all are read.
        settings: The columns of the network's own data, for those that this table has, too.

    Raises:
        SettingsError: The table has no such part or class.
        DataError: Columns, rows or pictures that cannot be used, classes that the network does not know, or
            several classes for a network that tells one.
    """
    table = read_table(path)
    columns = find_columns(table, columns_as_in(settings or DataSettings(), table))
    rows, problems = read_rows(table, columns)
    refuse(problems, path)
    if rows.multi_label and not spec.multi_label:
        raise DataError(
            "pictures of any number of classes each; the network tells one class", where=path, fix="measure on others"
        )
    parts = {part or "all" for part in rows.parts}
    chosen = part or next(name for name in (*BEST_FIRST, "all") if name in parts)
    if chosen not in parts:
        fix = "leave --part out" if "all" in parts else f"use --part {' or '.join(sorted(parts))}"
        raise SettingsError(f"the table has no part '{chosen}'", where=path, fix=fix)
    sets = rows.label_sets()
    wanted = [number for number, of in enumerate(rows.parts) if (of or "all") == chosen]
    unasked: list[str] = []
    if only and not spec.multi_label:
        unasked = not_asked_for([sets[number][0] for number in wanted], only)
        wanted = [number for number in wanted if sets[number][0] in only]
        missing = sorted(set(only) - {sets[number][0] for number in wanted})
        if missing:
            raise SettingsError(f"no picture of class {', '.join(missing)}", where=path, fix="leave these classes out")
    require_known([name for number in wanted for name in sets[number]], spec, path, path)
    root = Path(os.path.abspath(path)).parent
    decoded = read_pictures(
        root if not any(map(os.path.isabs, rows.names)) else Path(root.anchor),
        [rows.paths[number] for number in wanted],
        spec,
    )
    left_out = require_readable(decoded.errors, skip_bad)
    pictures = ImageDataset(
        images=decoded.images,  # N C H W
        labels=class_labels([sets[number] for number in wanted], spec.classes, spec.multi_label),
        classes=spec.classes,
        names=[rows.names[number] for number in wanted],
    )
    if left_out:
        pictures = pictures.select(torch.tensor([error is None for error in decoded.errors]).nonzero().squeeze(1))
    notes = (columns_read(table, columns), *empty_rows(table), *unasked, *left_out, *decoded.notes)
    return Labelled(chosen, pictures, notes)
