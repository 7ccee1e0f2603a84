"""fixes.csv: an overlay over a data set that relabels and excludes pictures; no picture file is ever touched.

A table with the columns path, action ('relabel' or 'exclude'), label and reason; a path is written as in the ledger
(`files.csv`, `manifest.csv`), a label as the class's name, several of one picture with '|' between them. It is applied
before anything is held out, each application is recorded, and rows that cannot be obeyed are all named by their
number, counted as a spreadsheet does: the header is row 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from striate.core.errors import DataError
from striate.core.paths import user_path
from striate.data.dataset import SEPARATOR, FileRecord, ImageDataset, Splits, label_texts
from striate.data.parallel import Errors

COLUMNS = ("path", "action", "label", "reason")
ACTIONS = ("relabel", "exclude")
EXCLUDED = "excluded"  # how the reason of an excluded picture begins
_LARGEST = 2**28  # bytes


class Fix(NamedTuple):
    """One row: what is to be done with one picture. `label` is empty where it is excluded."""

    path: str
    action: str
    label: str
    reason: str = ""


@dataclass(frozen=True)
class Fixes:
    """The rows of a fixes.csv.

    Args:
        file: Where they come from, for messages.
        rows: With the number of each.
        digest: SHA-256 of the file.
    """

    file: Path
    rows: Sequence[tuple[int, Fix]]
    digest: str

    @property
    def excluded(self) -> set[str]:
        """The pictures that are to be left out."""
        return {fix.path for _, fix in self.rows if fix.action == "exclude"}


def read_fixes(path: Path) -> Fixes:
    """Return the rows of a fixes.csv.

    Raises:
        DataError: The file cannot be read, is no table with the columns wanted, or has rows that cannot be obeyed
            whatever the data: they are all named.
    """
    path = user_path(path)
    data = file_bytes(path)
    # odd bytes of file names come back as they were, by the rule of `os.fsdecode`
    lines = csv.reader(io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline=""))
    try:
        header, *found = lines
    except (csv.Error, ValueError) as error:
        raise _unusable(path, f"not a table ({error})" if isinstance(error, csv.Error) else "no header row") from None
    header = [name.strip().lower() for name in header]
    missing = [column for column in COLUMNS[:2] if column not in header]
    if missing or len(set(header)) < len(header):
        raise _unusable(path, f"no column {', '.join(missing)}" if missing else "a column twice in the header")
    rows = [(number, _fix(header, cells)) for number, cells in enumerate(found, 2) if any(map(str.strip, cells))]
    problems = [f"row {number}: {problem}" for number, fix in rows if (problem := _problem(fix))]
    _refuse(path, problems + _doubles(rows))
    return Fixes(path, rows, hashlib.sha256(data).hexdigest())


def but_excluded(errors: Errors, names: Sequence[str], path: Path | None) -> Errors:
    """Return the errors of pictures that cannot be read without those of pictures that fixes leave out.

    Args:
        errors: For each file None, or why it cannot be used.
        names: The files, as in the ledger.
        path: The fixes.csv, if there is one.
    """
    excluded = read_fixes(path).excluded if path is not None else set()
    return [None if name in excluded else error for name, error in zip(names, errors, strict=True)]


def file_bytes(path: Path) -> bytes:
    """Return the content of a fixes.csv; DataError where there is none."""
    try:
        if path.stat().st_size > _LARGEST or not path.is_file():
            raise _unusable(path, "not a table")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot be read ({reason})", where=path, fix="check the path") from None


def _unusable(path: Path, what: str) -> DataError:
    return DataError(f"fixes: {what}", where=path, fix=f"a CSV file with the columns {', '.join(COLUMNS)}")


def _fix(header: Sequence[str], cells: Sequence[str]) -> Fix:
    values = dict(zip(header, cells, strict=False))
    action, label, reason = (values.get(column, "").strip() for column in COLUMNS[1:])
    return Fix(values.get("path", ""), action, label, reason)


def _problem(fix: Fix) -> str:
    if not fix.path:
        return "no path"
    if fix.action not in ACTIONS:
        return f"action '{fix.action}': either {' or '.join(ACTIONS)}"
    return "a relabel without a label" if fix.action == "relabel" and not fix.label else ""


def _doubles(rows: Iterable[tuple[int, Fix]]) -> list[str]:
    first: dict[str, int] = {}
    told = []
    for number, fix in rows:
        if fix.path and first.setdefault(fix.path, number) != number:
            told.append(f"row {number}: {fix.path} is in row {first[fix.path]} already")
    return told


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        rows = "1 row" if len(problems) == 1 else f"{len(problems)} rows"
        raise DataError(f"{rows} cannot be obeyed:\n{lines}", where=path, fix="correct these rows, or remove them")


def apply_fixes(splits: Splits, fixes: Fixes) -> Splits:
    """Return the data with pictures relabelled and excluded, each recorded in the ledger with its row.

    Args:
        splits: As they come, nothing held out yet.

    Raises:
        DataError: Rows with paths or classes that the data do not have: all are named.
    """
    known = {record.path for record in splits.files} | {name for part in splits.parts().values() for name in part.names}
    problems = []
    for number, fix in fixes.rows:
        if fix.path not in known:
            problems.append(f"row {number}: no such picture: {fix.path}")
        unknown = [name for name in _names(fix, splits) if fix.action == "relabel" and name not in splits.classes]
        if unknown:
            problems.append(f"row {number}: no class {', '.join(unknown)}; there are {', '.join(splits.classes)}")
    _refuse(fixes.file, problems)
    by_path = {fix.path: (number, fix) for number, fix in fixes.rows}
    changed: dict[str, FileRecord] = {}
    parts = {name: _fixed_part(name, part, by_path, splits, fixes, changed) for name, part in splits.parts().items()}
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise DataError(f"no picture is left in the {' and '.join(empty)} part", where=fixes.file, fix="exclude fewer")
    return replace(
        splits,
        train=parts["train"],
        val=parts.get("val"),
        test=parts.get("test"),
        files=_ledger(splits.files, changed, fixes),
        notes=[*splits.notes, *_notes(fixes, changed)],
    )


def _names(fix: Fix, splits: Splits) -> list[str]:
    if not splits.multi_label:
        return [fix.label]
    return [name.strip() for name in fix.label.split(SEPARATOR) if name.strip()]


def _fixed_part(
    name: str,
    part: ImageDataset,
    by_path: dict[str, tuple[int, Fix]],
    splits: Splits,
    fixes: Fixes,
    changed: dict[str, FileRecord],
) -> ImageDataset:
    """Return a part with what concerns its pictures done, and record that in `changed`."""
    concerned = [(place, *by_path[path]) for place, path in enumerate(part.names) if path in by_path]
    if not concerned:
        return part
    labels = part.labels.clone()
    kept = torch.ones(len(part), dtype=torch.bool)
    texts = label_texts(part.labels[torch.tensor([place for place, _, _ in concerned])], part.classes)
    for (place, number, fix), before in zip(concerned, texts, strict=True):
        row = f"{fixes.file.name} row {number}" + (f": {fix.reason}" if fix.reason else "")
        if fix.action == "exclude":
            kept[place] = False
            changed[fix.path] = FileRecord(fix.path, name, before, "skipped", f"{EXCLUDED} ({row})")
            continue
        chosen = torch.tensor([part.classes.index(name) for name in _names(fix, splits)])
        labels[place] = torch.isin(torch.arange(len(part.classes)), chosen) if part.multi_label else chosen[0]
        after = label_texts(labels[place : place + 1], part.classes)[0]
        status, told = ("used", f"already {after}") if after == before else ("fixed", f"{before} → {after}")
        changed[fix.path] = FileRecord(fix.path, name, after, status, f"{told} ({row})")
    relabelled = replace(part, labels=labels)
    return relabelled if bool(kept.all()) else relabelled.select(kept.nonzero().squeeze(1))


def _ledger(records: Sequence[FileRecord], changed: dict[str, FileRecord], fixes: Fixes) -> list[FileRecord]:
    """Return the records with what was done; what could not be read and is excluded now says so."""
    if not records:
        return list(changed.values())
    rows = {fix.path: number for number, fix in fixes.rows if fix.action == "exclude"}

    def told(record: FileRecord) -> FileRecord:
        if record.path in changed:
            done = changed[record.path]
            return record._replace(class_name=done.class_name, status=done.status, reason=done.reason)
        if record.status == "skipped" and record.path in rows:
            reason = f"{EXCLUDED} ({fixes.file.name} row {rows[record.path]}), {record.reason}"
            return record._replace(reason=reason)
        return record

    return [told(record) for record in records]


def _notes(fixes: Fixes, changed: dict[str, FileRecord]) -> list[str]:
    relabelled = sum(record.status == "fixed" for record in changed.values())
    excluded = sum(fix.action == "exclude" for _, fix in fixes.rows)
    without = len(fixes.rows) - excluded - relabelled
    told = f"{relabelled:,} relabelled, {excluded:,} excluded by {fixes.file}"
    return [told + (f"; {without:,} rows change nothing" if without else "")]


def fixes_text(rows: Iterable[Fix]) -> bytes:
    """Return the content of a fixes.csv; odd bytes in file names survive."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
