"""Table files as text: a header, its columns, and what each row is called in messages. CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.core.errors import DataError, ResourceError
from striate.core.paths import file_status, to_type

SUFFIXES = (".csv", ".tsv", ".parquet")
SEPARATORS = ",;\t"
MOST_TOLD = 10  # empty rows that are named
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks


@dataclass(frozen=True)
class Table:
    """The cells of a table, as text without blanks around it.

    Args:
        path: The file.
        header: The columns' names.
        numbers: For each row its number: in a CSV as a spreadsheet counts them, the header being the first.
        column: The cells of a column, by its place; '' where there is nothing.
        problems: (row, what is wrong) of rows that are not of the header's form.
        empty: The numbers of rows without anything in them, which are left out.
    """

    path: Path
    header: tuple[str, ...]
    numbers: Sequence[int]
    column: Callable[[int], list[str]]
    problems: Sequence[tuple[int, str]] = ()
    empty: Sequence[int] = ()


def is_table(path: Path) -> bool:
    """Return whether a path is meant as a table, by its suffix."""
    return path.suffix.lower() in SUFFIXES and not os.path.isdir(path)


def table_hint(paths: Iterable[Path]) -> str | None:
    """Return what to type where one of these files is a table, else None."""
    table = next((path for path in paths if is_table(path)), None)
    return (
        None
        if table is None
        else f"if its labels stand in the table {table.name}:  {to_type('striate', 'train', table)}"
    )


def read_table(path: Path) -> Table:
    """Return the table in a file.

    Raises:
        DataError: No such file, not a file, not text, or not a table.
        ResourceError: Parquet, and pyarrow is not installed.
    """
    status = file_status(path, DataError)
    if status is None:
        raise DataError("no such table", where=path, fix="check the path")
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file", where=path, fix="name a table: .csv, .tsv or .parquet")
    try:
        return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except OSError as error:
        if isinstance(error, ResourceError):
            raise
        raise DataError(
            f"cannot be read ({error.strerror or error})", where=path, fix=to_type("chmod", "u+r", path)
        ) from None


def _read_csv(path: Path) -> Table:
    table = read_csv(path, path.read_bytes())
    if not table.numbers:
        what = "a header and no rows" if table.header else "nothing"
        raise DataError(f"the table holds {what}", where=path, fix="write a header, and a row for each picture")
    return table


def read_csv(path: Path, data: bytes, *, exact: bool = False) -> Table:
    """Return the table in the bytes of a CSV file, divided by commas, semicolons or tabs; it may be without rows.

    Args:
        path: Where they come from, for messages.
        data: UTF-8, with or without a byte order mark.
        exact: Leave cells as they are, for names of files: with blanks around them and, by the rule of `os.fsdecode`,
            with bytes that are not UTF-8.

    Raises:
        DataError: Not text, or not a table.
    """
    text, told = _told_separator(path, _text(path, data, "surrogateescape" if exact else "strict"))
    # the one that divides the header most often; a comma in a header that has semicolons is quoted
    separator = told or max(SEPARATORS, key=lambda one: _columns(text, one))
    header: list[str] = []
    rows: list[list[str]] = []
    numbers: list[int] = []
    problems: list[tuple[int, str]] = []
    empty: list[tuple[int, bool]] = []
    number = 0
    try:
        for number, record in enumerate(_records(text, separator), start=1):
            cells = [cell.strip() for cell in record]
            if not any(cells):
                if header:
                    empty.append((number, bool(record)))
                continue
            if not header:
                header = cells
                continue
            if any(cells[len(header) :]):
                problems.append((number, f"{len(cells)} cells where the header has {len(header)}"))
            rows.append((record if exact else cells) + [""] * (len(header) - len(cells)))
            numbers.append(number)
    except csv.Error as error:
        raise DataError(
            f"row {number + 1:,}: {error}", where=path, fix="close its quotes, and double those within a cell"
        ) from None
    last = numbers[-1] if numbers else 0
    without = [number for number, divided in empty if divided or number < last]  # a file may end in blank lines
    return Table(path, tuple(header), numbers, lambda place: [row[place] for row in rows], problems, without)


def _text(path: Path, data: bytes, errors: str) -> str:
    fix = "save the table as UTF-8 (of spreadsheets: 'CSV UTF-8')"
    if data.startswith(_UTF16):
        raise DataError("the table is UTF-16 text, not UTF-8", where=path, fix=fix)
    if b"\0" in data:
        raise DataError("the table holds zero bytes: UTF-16 text, or no text at all", where=path, fix=fix)
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"line {line:,} is not UTF-8 text", where=path, fix=fix) from None


def _told_separator(path: Path, text: str) -> tuple[str, str]:
    """Return a text without the line by which spreadsheets say what divides it ('sep=;'), and that; '' without one."""
    told = re.match(r"sep=(.?)[ \t]*\r?\n", text, re.IGNORECASE)
    if told is None:
        return text, ""
    separator = told[1]
    if not separator or separator not in SEPARATORS:
        raise DataError(
            f"its first line says that {separator!r} divides its cells",
            where=path,
            fix="use commas, semicolons or tabs",
        )
    return text[told.end() :], separator


def _records(text: str, separator: str) -> Iterable[list[str]]:
    # strict: otherwise a quote that is never closed would swallow all rows that follow
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _columns(text: str, separator: str) -> int:
    with suppress(csv.Error):
        return next((len(record) for record in _records(text, separator) if any(record)), 0)
    return 0


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ResourceError(
            "to read Parquet, pyarrow is needed, which is not installed",
            where=path,
            fix="pip install 'striate[parquet]', or save the table as CSV",
        ) from None

    def column(place: int) -> list[str]:
        field = file.schema_arrow.field(place)
        if pyarrow.types.is_nested(field.type) or pyarrow.types.is_binary(field.type):
            raise DataError(
                f"column '{field.name}' holds values of type {field.type}, not text or numbers",
                where=path,
                fix="name another column, or write its values as text",
            )
        with _naming_damage(path, pyarrow.ArrowException):
            return [_cell(value) for value in file.read(columns=[field.name]).column(0).to_pylist()]

    with _naming_damage(path, pyarrow.ArrowException):
        file = parquet.ParquetFile(path)
    count = file.metadata.num_rows
    if not count:
        raise DataError("the table holds a header and no rows", where=path, fix="write a row for each picture")
    return Table(path, tuple(file.schema_arrow.names), range(1, count + 1), column)


def _cell(value: Any) -> str:
    """Return a value as text; whole numbers without the point that a column with gaps gives them."""
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


@contextmanager
def _naming_damage(path: Path, damage: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (damage, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the system's, not of what the file holds
            raise
        reason = " ".join(str(error).split())
        raise DataError(f"not a Parquet file, or a damaged one ({reason})", where=path, fix="write it again") from None


def empty_rows(table: Table) -> list[str]:
    """Return a sentence on the rows that hold nothing, where there are any."""
    if not table.empty:
        return []
    count, first = len(table.empty), ", ".join(f"{number:,}" for number in table.empty[:MOST_TOLD])
    which = f"row{'s' * (count > 1)} {first}" + (" …" if count > MOST_TOLD else "")
    return [f"{count:,} empty row{'s' * (count > 1)} of the table left out: {which}"]
