"""Table files as text: a header, its columns, and what each row is called in messages. CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import io
import os
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


@dataclass(frozen=True)
class Table:
    """The cells of a table, as text without blanks around it.

    Args:
        path: The file.
        header: The columns' names.
        numbers: For each row its number: in a CSV as a spreadsheet counts them, the header being the first.
        column: The cells of a column, by its place; '' where there is nothing.
        problems: (row, what is wrong) of rows that are not of the header's form.
    """

    path: Path
    header: tuple[str, ...]
    numbers: Sequence[int]
    column: Callable[[int], list[str]]
    problems: Sequence[tuple[int, str]] = ()


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
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"line {line:,} is not UTF-8 text", where=path, fix="save the table as UTF-8 (of spreadsheets: 'CSV UTF-8')"
        ) from None
    # the one that divides the header most often; a comma in a header that has semicolons is quoted
    separator = max(SEPARATORS, key=lambda one: _columns(text, one))
    header: list[str] | None = None
    rows: list[list[str]] = []
    numbers: list[int] = []
    problems: list[tuple[int, str]] = []
    number = 0
    try:
        for number, record in enumerate(_records(text, separator), start=1):
            cells = [cell.strip() for cell in record]
            if not any(cells):
                continue
            if header is None:
                header = cells
                continue
            if any(cells[len(header) :]):
                problems.append((number, f"{len(cells)} cells where the header has {len(header)}"))
            rows.append(cells + [""] * (len(header) - len(cells)))
            numbers.append(number)
    except csv.Error as error:
        raise DataError(
            f"row {number + 1:,}: {error}", where=path, fix="close its quotes, and double those within a cell"
        ) from None
    if not header or not rows:
        what = "a header and no rows" if header else "nothing"
        raise DataError(f"the table holds {what}", where=path, fix="write a header, and a row for each picture")
    return Table(path, tuple(header), numbers, lambda place: [row[place] for row in rows], problems)


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
