"""What `striate predict` is given: pictures by name, lists of names, and what comes on standard input."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from striate.cli.given import given_pictures
from striate.core.errors import DataError
from striate.core.paths import STDIN

NAME = "-"  # of a picture whose bytes come on standard input
_START = 4096  # bytes of which a picture's hold a zero, and names, one a line, none
_PICTURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Given:
    """A picture as it was given.

    Args:
        picture: Its path, or its encoded bytes.
        name: What to call it.
        origin: The line of the list that names it; '' where it was named itself.
    """

    picture: Path | bytes
    name: str
    origin: str = ""

    def told(self, error: DataError) -> DataError:
        """Return why it cannot be used, with the line that names it."""
        if not self.origin:
            return error
        return DataError(error.what, where=f"{error.where} ({self.origin})", fix=error.fix)


def given_inputs(
    paths: Iterable[Path],
    refuse: Callable[[DataError], None],
    refuse_source: Callable[[DataError], None],
    ignored: list[tuple[str, str]],
) -> Iterator[Given]:
    """Yield pictures in the order in which they are given.

    Args:
        paths: Files, folders, patterns (`given_pictures`); tables of paths, which are relative to the table's folder;
            '-' for standard input.
        refuse: Told of every name that is no picture's.
        refuse_source: Told of what no pictures can be had from at all: a folder, a pattern, a table, standard input.
        ignored: Takes up what is no picture in folders, with the reason.
    """
    from striate.data.table_file import is_table

    for path in paths:
        try:
            if str(path) == STDIN:
                yield from _from_stdin()
            elif is_table(path):
                yield from _from_table(path, refuse)
            else:
                yield from (Given(picture, str(picture)) for picture in given_pictures([path], refuse_source, ignored))
        except DataError as error:
            refuse_source(error)


def _from_table(path: Path, refuse: Callable[[DataError], None]) -> Iterator[Given]:
    from striate.data.sources.columns import path_column
    from striate.data.table_file import read_table

    table = read_table(path)
    cells = table.column(path_column(table))
    problems = dict(table.problems)
    for number, cell in zip(table.numbers, cells, strict=True):
        where = f"{path}, row {number:,}"
        if number in problems:
            refuse(DataError(problems[number], where=where, fix="put quotes round what holds the separator"))
        elif not cell:
            refuse(DataError("names no picture", where=where, fix="write its path, or remove the row"))
        else:
            picture = path.parent / cell
            yield Given(picture, str(picture), where)


def _from_stdin() -> Iterator[Given]:
    """Yield the one picture whose bytes come on standard input, or the pictures whose names do.

    Names come one a line, or with a zero byte after each (`find -print0`).
    """
    if sys.stdin is None:
        raise DataError("standard input is closed", where=NAME, fix="name pictures, or pipe something into it")
    source: BinaryIO = sys.stdin.buffer
    start = source.read(_START)
    if not start:
        raise DataError("nothing on standard input", where=NAME, fix="pipe names, one a line, or a picture into it")
    start = start.removeprefix(b"\xef\xbb\xbf")
    zeros = b"\0" in start
    if _is_table(start):
        raise DataError("a table, not names, one a line", where=NAME, fix="give the table as an argument")
    if zeros and not _begins_with_name(start):
        yield Given(_rest(source, start), NAME)
        return
    data = start + source.read()
    for number, line in enumerate(data.split(b"\0") if zeros else data.splitlines(), start=1):
        if line.strip():
            name = os.fsdecode(line)
            yield Given(Path(name), name, f"standard input, {'name' if zeros else 'line'} {number:,}")


def _begins_with_name(start: bytes) -> bool:
    """Return whether what stands before the first zero byte is a file's name, and not the beginning of a picture."""
    name = start.partition(b"\0")[0]
    if not name or os.path.lexists(name):
        return bool(name)
    return min(name) >= 32 and not start.startswith(_PICTURES)


def _is_table(start: bytes) -> bool:
    """Return whether it begins like a table of paths, and names no file by that."""
    from striate.data.sources.columns import is_path_column

    header = start.partition(b"\n")[0].strip()
    cells = re.split("[,;\t]", header.decode(errors="replace"))
    return start.startswith(_PARQUET) or (
        b"\0" not in header and any(is_path_column(cell.strip("'\"")) for cell in cells) and not os.path.lexists(header)
    )


def _rest(source: BinaryIO, start: bytes) -> bytes:
    from striate.data.decode import MAX_BYTES

    data = bytearray(start)
    while len(data) <= MAX_BYTES and (more := source.read(MAX_BYTES + 1 - len(data))):
        data += more
    return bytes(data)


def repeated(given: Sequence[Given]) -> int:
    """Return how many names are given more than once."""
    return sum(count > 1 for count in Counter(one.name for one in given).values())
