"""Tables of labelled pictures: a row for each, with its file, class or classes, and where told its part and group.

Every row is checked before a picture is decoded, and all that are wrong are named at once.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.settings import DataSettings
from striate.data.dataset import SEPARATOR, Splits, require_classes
from striate.data.fixes import Fixes
from striate.data.sources.assemble import LabelledFiles, load_files
from striate.data.sources.columns import Columns, columns_read, find_columns
from striate.data.sources.groups import groups_in_paths
from striate.data.sources.scan import NOT_ASKED, PART_NAMES
from striate.data.table_file import Table, empty_rows, read_table

PARTS = ("train", "val", "test")


class Problem(NamedTuple):
    """What is wrong with one cell."""

    row: int
    column: str
    what: str


@dataclass(frozen=True)
class Rows:
    """What a table says of its pictures, row by row.

    Args:
        numbers: What the rows are called.
        paths: The files.
        names: Their paths below the table's folder, absolute where they are not below it.
        labels: The class, or classes with '|' between them.
        parts: train, val or test; '' everywhere where the table does not say.
        groups: The group of each, where the table says.
    """

    numbers: Sequence[int]
    paths: Sequence[str]
    names: Sequence[str]
    labels: Sequence[str]
    parts: Sequence[str]
    groups: Sequence[str] | None

    @property
    def multi_label(self) -> bool:
        """Whether any picture is of several classes, so that each may be of any number of them."""
        return any(SEPARATOR in label for label in self.labels)

    def label_sets(self) -> list[list[str]]:
        """Return the classes of each picture."""
        return [[name.strip() for name in label.split(SEPARATOR) if name.strip()] for label in self.labels]


def load_table(path: Path, settings: DataSettings, only: Sequence[str] = (), fixes: Fixes | None = None) -> Splits:
    """Return the pictures of a table as Splits, unsplit parts left None.

    Classes are sorted by name, by value where all are whole numbers. Where a label has several names with '|'
    between them, pictures are of any number of classes, and an empty label is none of them.

    Args:
        path: The table; its paths are relative to its folder.
        settings: Its columns, size, channels, groups, what to do with bad pictures.
        only: The classes to read, in their order; all by default.
        fixes: What will be applied to them.

    Raises:
        DataError: Columns, rows, groups or pictures are unusable; the message lists every offender.
        ResourceError: Parquet without pyarrow; or neither the memory nor the cache can hold the decoded pictures.
    """
    settings = _grouped_one_way(settings)
    table = read_table(path)
    columns = find_columns(table, settings)
    rows, problems = read_rows(table, columns)
    sets = rows.label_sets()
    counts = Counter(
        name for part, names in zip(rows.parts, sets, strict=True) if part in ("train", "") for name in names
    )
    if columns.split is not None and not counts and not problems:
        raise DataError(
            f"no row with classes is of the training part in column '{table.header[columns.split]}'",
            where=path,
            fix="write 'train' there for the rows to learn from, or use --split-column ''",
        )
    if counts and not only:
        problems += _strangers(rows, sets, counts, table.header[columns.label])
    refuse(problems, path)
    if only:
        require_classes(only, class_order(counts), str(path))
    classes = class_order(only or counts)
    _require_classes_differ(classes, path)
    several, wanted = rows.multi_label, set(classes)
    asked = [number for number, names in enumerate(sets) if several or names[0] in wanted]
    order = sorted(asked, key=lambda number: PARTS.index(rows.parts[number]) if rows.parts[number] else 0)
    place = Path(os.path.abspath(path))
    files = LabelledFiles(
        where=path,
        place=place,
        folder=place.parent,
        root=place.parent if not any(map(os.path.isabs, rows.names)) else Path(place.anchor),
        paths=[rows.paths[number] for number in order],
        names=[rows.names[number] for number in order],
        labels=class_labels([sets[number] for number in order], classes, several),
        classes=classes,
        parts=_runs([rows.parts[number] for number in order], set(rows.parts)),
        groups=_groups(rows, order, settings, path),
        ignored=[(rows.names[number], NOT_ASKED) for number in sorted(set(range(len(sets))) - set(asked))],
        notes=[columns_read(table, columns), *empty_rows(table), *_remarks(rows, sets)],
    )
    return load_files(files, settings, only, fixes)


def read_rows(table: Table, columns: Columns) -> tuple[Rows, list[Problem]]:
    """Return what a table says of its pictures, and everything that is wrong with single rows.

    Raises:
        DataError: None of its files is there.
    """
    column = table.header
    problems = [Problem(number, column[-1], what) for number, what in table.problems]
    labels = table.column(columns.label)
    several = any(SEPARATOR in label for label in labels)
    for number, label in zip(table.numbers, labels, strict=True):
        if is_missing(label) and not (several and not label):
            problems.append(Problem(number, column[columns.label], "no label" + (f" ({label})" if label else "")))
    parts = [""] * len(labels)
    if columns.split is not None:
        cells = table.column(columns.split)
        parts = [PART_NAMES.get(cell.lower(), "?") for cell in cells]
        problems += [
            Problem(number, column[columns.split], f"'{cell}' is not train, val or test")
            for number, cell, part in zip(table.numbers, cells, parts, strict=True)
            if part == "?"
        ]
    groups = None
    if columns.group is not None:
        groups = table.column(columns.group)
        problems += [
            Problem(number, column[columns.group], "no group")
            for number, group in zip(table.numbers, groups, strict=True)
            if is_missing(group)
        ]
    folder = os.path.abspath(table.path.parent)
    cells = table.column(columns.path)
    paths = [os.path.join(folder, cell) for cell in cells]
    problems += _file_problems(table, column[columns.path], cells, paths, labels)
    names = [_name(path, folder) for path in paths]
    return Rows(table.numbers, paths, names, labels, parts, groups), problems


def is_missing(cell: str) -> bool:
    """Return whether a cell is empty, or what NumPy and pandas write for nothing."""
    return not cell or cell.lower() == "nan"


def refuse(problems: Sequence[Problem], path: Path) -> None:
    """Refuse a table with problems: DataError, all of them at once, in the order of its rows."""
    if problems:
        lines = "\n".join(f"  row {row}, column '{column}': {what}" for row, column, what in sorted(problems))
        count = len({row for row, _, _ in problems})
        raise DataError(
            f"{count:,} of the table's rows cannot be used:\n{lines}", where=path, fix="correct or remove these rows"
        )


def _file_problems(
    table: Table, column: str, cells: Sequence[str], paths: list[str], labels: Sequence[str]
) -> list[Problem]:
    """Return what is wrong with the files; a path with '\\' that is none here is looked for with '/' in `paths`."""
    problems = []
    missing = 0
    first: dict[tuple[int, int], int] = {}
    for place, (number, cell) in enumerate(zip(table.numbers, cells, strict=True)):
        status = _status(paths[place])
        if status is None and "\\" in cell and (found := _status(paths[place].replace("\\", "/"))) is not None:
            paths[place], status = paths[place].replace("\\", "/"), found
        if not cell:
            what: str | None = "no path"
        elif status is None:
            what = f"no such file: {paths[place]}"
            missing += 1
        elif stat.S_ISDIR(status.st_mode):
            what = f"a folder, not a picture: {paths[place]}"
        else:
            earlier = first.setdefault((status.st_dev, status.st_ino), place)
            what = None if earlier == place else f"the same file as in row {table.numbers[earlier]}"
            if what and labels[earlier] != labels[place]:
                what += f", where it is '{labels[earlier]}', not '{labels[place]}'"
        if what:
            problems.append(Problem(number, column, what))
    if missing == len(cells) > 1:
        raise DataError(
            f"none of the table's {missing:,} files is there; the first was looked for at {paths[0]}",
            where=table.path,
            fix=f"paths are relative to the table's folder: move it, or correct its column '{column}'",
        )
    return problems


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):  # not there, not to be reached, or not a path
        return None


def _name(path: str, folder: str) -> str:
    path = os.path.normpath(path)
    inside = folder if folder.endswith(os.sep) else folder + os.sep
    return path[len(inside) :] if path.startswith(inside) else path


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of classes in order: by value where all are whole numbers, else alphabetically."""
    names = sorted(set(names))
    if all(re.fullmatch(r"[+-]?[0-9]+", name) for name in names):
        names.sort(key=int)
    return tuple(names)


def _require_classes_differ(classes: tuple[str, ...], path: Path) -> None:
    if len(classes) < 2:
        raise DataError(
            f"only one class ('{classes[0]}'): a classifier needs two or more" if classes else "no classes",
            where=path,
            fix="add pictures of another class, or name another --label-column",
        )
    spelled: dict[str, list[str]] = {}
    for name in classes:
        spelled.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    alike = [f"{ascii(names)[1:-1]}" for names in spelled.values() if len(names) > 1]
    if alike:
        raise DataError(
            f"classes that look the same but are spelled with other characters: {'; '.join(alike)}",
            where=path,
            fix="spell each class in one way (Unicode's form NFC)",
        )


def _strangers(rows: Rows, sets: Sequence[Sequence[str]], known: Counter[str], column: str) -> list[Problem]:
    """Return the labels of held-out rows that no training row has."""
    return [
        Problem(number, column, f"no training row is of class {', '.join(strange)}")
        for number, part, names in zip(rows.numbers, rows.parts, sets, strict=True)
        if part in ("val", "test")
        and (strange := [name for name in names if name not in known and not is_missing(name)])
    ]


def class_labels(sets: Sequence[Sequence[str]], classes: tuple[str, ...], multi_label: bool) -> Tensor:
    """Return labels by the names of their classes, int64 N, or bool N K; of N K, names of no class are left out."""
    numbers = {name: label for label, name in enumerate(classes)}
    if not multi_label:
        return torch.tensor([numbers[name] for (name,) in sets])
    flags = torch.zeros(len(sets), len(classes), dtype=torch.bool)
    for row, names in enumerate(sets):
        flags[row, [numbers[name] for name in names if name in numbers]] = True
    return flags


def _runs(parts: Sequence[str], all_parts: set[str]) -> dict[str, range]:
    """Return where each part stands in a list sorted by part; also those of which a subset of classes left nothing."""
    counts = Counter(parts)
    runs, start = {}, 0
    for part in ("", *PARTS):
        if part not in all_parts:
            continue
        runs[part] = range(start, start + counts[part])
        start += counts[part]
    return runs


def _grouped_one_way(settings: DataSettings) -> DataSettings:
    """Return the settings without a column of groups where the paths say them; SettingsError where both are named."""
    if settings.group is None:
        return settings
    if settings.group_column:
        raise SettingsError(
            "groups are named by --group and by --group-column", where=settings.group_column, fix="leave one out"
        )
    return settings.with_values(group_column="")


def _groups(rows: Rows, order: Sequence[int], settings: DataSettings, path: Path) -> list[str] | None:
    if settings.group is None:
        return None if rows.groups is None else [rows.groups[number] for number in order]
    return groups_in_paths(settings.group, [rows.names[number] for number in order], path)


def _remarks(rows: Rows, sets: Sequence[Sequence[str]]) -> list[str]:
    """Return what the user may not expect, one sentence each."""
    remarks = []
    if rows.multi_label:
        none = sum(not names for names in sets)
        remarks.append(f"labels with '{SEPARATOR}': pictures of any number of classes, {none:,} of none")
    outside = sum(map(os.path.isabs, rows.names))
    if outside:
        remarks.append(f"{outside:,} pictures lie outside the table's folder")
    return remarks
