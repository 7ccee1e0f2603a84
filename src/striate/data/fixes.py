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
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from striate.core.errors import DataError
from striate.core.names import some
from striate.core.paths import user_path
from striate.data.dataset import SEPARATOR, FileRecord, ImageDataset, Splits, label_texts
from striate.data.parallel import Errors
from striate.data.table_file import Table, read_csv

COLUMNS = ("path", "action", "label", "reason")
ACTIONS = ("relabel", "exclude")
EXCLUDED = "excluded"  # how the reason of an excluded picture begins
ALREADY = "already "  # and of one that is relabelled to what it is
_LARGEST = 2**28  # bytes


class Fix(NamedTuple):
    """One row: what is to be done with one picture. `label` is empty where it is excluded."""

    path: str
    action: str
    label: str
    reason: str = ""


class Problem(NamedTuple):
    """Why a row cannot be obeyed."""

    row: int
    what: str


@dataclass(frozen=True)
class Fixes:
    """The rows of a fixes.csv.

    Args:
        file: Where they come from, for messages.
        rows: With the number of each.
        content: Of the file.
        problems: What is wrong with rows whatever the data; told with what is wrong with them for the data.
    """

    file: Path
    rows: Sequence[tuple[int, Fix]]
    content: bytes
    problems: Sequence[Problem] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def excluded(self) -> set[str]:
        """The pictures that are to be left out."""
        return {fix.path for _, fix in self.rows if fix.action == "exclude"}

    def require_obeyable(self, pictures: Collection[str], classes: Sequence[str], multi_label: bool) -> None:
        """Refuse rows that cannot be obeyed: DataError, all of them at once, in their order.

        Args:
            pictures: The names of all that there are, those that are not used included.
            classes: Their names.
            multi_label: Whether a picture may be of any number of them.
        """
        problems = list(self.problems)
        for number, fix in self.rows:
            if fix.path and fix.path not in pictures:
                problems.append(Problem(number, f"no such picture: {fix.path}"))
            unknown = [name for name in _names(fix, multi_label) if fix.action == "relabel" and name not in classes]
            if unknown and fix.label:
                problems.append(Problem(number, f"no class {', '.join(unknown)}; there are {', '.join(classes)}"))
        if problems:
            lines = "\n".join(f"  row {number}: {what}" for number, what in sorted(problems, key=lambda one: one.row))
            count = len({problem.row for problem in problems})
            rows = "1 row" if count == 1 else f"{count:,} rows"
            raise DataError(
                f"{rows} cannot be obeyed:\n{lines}", where=self.file, fix="correct these rows, or remove them"
            )


def read_fixes(path: Path | None) -> Fixes | None:
    """Return the rows of a fixes.csv, None without one. What cannot be obeyed is told when the data are known.

    Raises:
        DataError: The file cannot be read, or is no table with the columns wanted.
    """
    if path is None:
        return None
    path = user_path(path)
    content = _file_bytes(path)
    table = read_csv(path, content, exact=True)
    header = [name.lower() for name in table.header]
    if not header:
        raise _unusable(path, "no header row")
    missing = [column for column in COLUMNS[:2] if column not in header]
    if missing:
        raise _unusable(path, f"no column {', '.join(missing)}")
    if any(header.count(column) > 1 for column in COLUMNS):
        raise _unusable(path, "a column twice in the header")
    rows = list(zip(table.numbers, _fixes(table, header), strict=True))
    problems = [Problem(number, what) for number, what in table.problems]
    problems += [Problem(number, problem) for number, fix in rows if (problem := _problem(fix))]
    return Fixes(path, rows, content, problems + _doubles(rows))


def but_excluded(errors: Errors, names: Sequence[str], fixes: Fixes | None) -> Errors:
    """Return the errors of pictures that cannot be read without those of pictures that fixes leave out.

    Args:
        errors: For each file None, or why it cannot be used.
        names: The files, as in the ledger.
        fixes: What is to be left out, if anything.
    """
    excluded = fixes.excluded if fixes is not None else set()
    return [None if name in excluded else error for name, error in zip(names, errors, strict=True)]


def _file_bytes(path: Path) -> bytes:
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


def _fixes(table: Table, header: Sequence[str]) -> list[Fix]:
    count = len(table.numbers)
    cells = [table.column(header.index(name)) if name in header else [""] * count for name in COLUMNS]
    paths, *others = cells
    stripped = ([cell.strip() for cell in column] for column in others)
    return [
        Fix(path, action.lower(), label, reason) for path, action, label, reason in zip(paths, *stripped, strict=True)
    ]


def _problem(fix: Fix) -> str:
    if not fix.path:
        return "no path"
    if fix.action not in ACTIONS:
        return f"action '{fix.action}': either {' or '.join(ACTIONS)}"
    return "a relabel without a label" if fix.action == "relabel" and not fix.label else ""


def _doubles(rows: Iterable[tuple[int, Fix]]) -> list[Problem]:
    first: dict[str, int] = {}
    told = []
    for number, fix in rows:
        if fix.path and first.setdefault(fix.path, number) != number:
            told.append(Problem(number, f"{fix.path} is in row {first[fix.path]} already"))
    return told


def apply_fixes(splits: Splits, fixes: Fixes) -> Splits:
    """Return the data with pictures relabelled and excluded, each recorded in the ledger with its row.

    Args:
        splits: As they come, nothing held out yet.

    Raises:
        DataError: Rows that cannot be obeyed: all are named. Or nothing is left of a part, or of a class to learn.
    """
    known = {record.path for record in splits.files} | {name for part in splits.parts().values() for name in part.names}
    fixes.require_obeyable(known, splits.classes, splits.multi_label)
    by_path = {fix.path: (number, fix) for number, fix in fixes.rows}
    changed: dict[str, FileRecord] = {}
    parts = {name: _fixed_part(name, part, by_path, fixes, changed) for name, part in splits.parts().items()}
    _require_some_left(splits, parts, fixes)
    return replace(
        splits,
        train=parts["train"],
        val=parts.get("val"),
        test=parts.get("test"),
        files=_ledger(splits.files, changed, fixes),
        notes=[*splits.notes, *_notes(fixes, changed)],
    )


def _names(fix: Fix, multi_label: bool) -> list[str]:
    if not multi_label:
        return [fix.label]
    return [name.strip() for name in fix.label.split(SEPARATOR) if name.strip()]


def _require_some_left(splits: Splits, parts: dict[str, ImageDataset], fixes: Fixes) -> None:
    """Refuse fixes that take all pictures of a part, or all training pictures of a class: DataError."""
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise DataError(
            f"the fixes leave no picture in the {' and '.join(empty)} part", where=fixes.file, fix="exclude fewer"
        )
    counts = zip(splits.classes, splits.train.class_counts(), parts["train"].class_counts(), strict=True)
    gone = [f"{name} (of {before:,})" for name, before, after in counts if before and not after]
    if gone:
        raise DataError(
            f"the fixes leave no training picture of class {', '.join(gone)}",
            where=fixes.file,
            fix="exclude and relabel fewer of them, or leave the class out: DATA:CLASS,CLASS",
        )


def _fixed_part(
    name: str,
    part: ImageDataset,
    by_path: dict[str, tuple[int, Fix]],
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
        chosen = torch.tensor([part.classes.index(name) for name in _names(fix, part.multi_label)])
        labels[place] = torch.isin(torch.arange(len(part.classes)), chosen) if part.multi_label else chosen[0]
        after = label_texts(labels[place : place + 1], part.classes)[0]
        status, told = ("used", f"{ALREADY}{after}") if after == before else ("fixed", f"{before} → {after}")
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
            if done.status == "skipped":
                return record._replace(class_name=done.class_name, status=done.status, reason=done.reason)
            status = "fixed" if "fixed" in (record.status, done.status) else done.status  # in decoding, or by a row
            reason = "; ".join(filter(None, (record.reason, done.reason)))
            return record._replace(class_name=done.class_name, status=status, reason=reason)
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
    if without:
        told += "; 1 row changes nothing" if without == 1 else f"; {without:,} rows change nothing"
    same = [f"{record.path} is {record.class_name}" for record in changed.values() if record.reason.startswith(ALREADY)]
    return [told + (f": {some(same)} already" if same else "")]


def fixes_text(rows: Iterable[Fix]) -> bytes:
    """Return the content of a fixes.csv; odd bytes in file names survive."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
