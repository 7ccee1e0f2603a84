"""Which column of a table says what: recognised by its usual names, or named by a setting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from striate.core.errors import DataError
from striate.core.registry import nearest
from striate.core.settings import DataSettings
from striate.data.decode import SUFFIXES
from striate.data.table_file import Table
from striate.data.unread import suffix_of

USUAL = {
    "path": ("path", "file", "filename", "filepath", "image", "imagepath"),
    "label": ("label", "labels", "class", "target", "category"),
    "split": ("split", "part", "subset", "set"),
    "group": tuple(f"{what}{id_}" for what in ("group", "patient", "subject", "site", "video") for id_ in ("", "id")),
}
SETTINGS = tuple(f"{role}_column" for role in USUAL)
_MEANING = {"path": "the pictures' files", "label": "their classes", "split": "their parts", "group": "their groups"}


@dataclass(frozen=True)
class Columns:
    """The places of a table's columns, None where there is no such one."""

    path: int
    label: int
    split: int | None
    group: int | None


def find_columns(table: Table, settings: DataSettings) -> Columns:
    """Return which columns of a table say file, label, part and group.

    A column is recognised whatever its capitals, blanks, '-', '_' and '.': 'Image Path' is 'image_path'.

    Raises:
        DataError: A column is missing, or several could be it; the message says which columns there are.
    """
    problems: list[str] = []

    def place(role: str, needed: bool = False) -> int | None:
        option = f"--{role}-column"
        named: str | None = getattr(settings, f"{role}_column")
        if named is not None:
            found = [number for number, name in enumerate(table.header) if named and name == named]
        else:
            found = [number for number, name in enumerate(table.header) if _plain(name) in USUAL[role]]
        if len(found) > 1 and len({table.header[number] for number in found}) == 1:
            problems.append(f"column '{table.header[found[0]]}' stands {_times(len(found))} in the header")
        elif len(found) > 1:
            problems.append(f"{len(found)} columns could say {_MEANING[role]} ({_listed(table, found)}): {option}")
        elif not found and named:
            guess = nearest(named, table.header)
            problems.append(f"no column '{named}'" + (f" (did you mean '{guess}'?)" if guess else ""))
        elif not found and needed:
            usual = ", ".join(f"'{name}'" for name in USUAL[role])
            problems.append(f"no column that says {_MEANING[role]} ({usual}): {option}")
        return found[0] if len(found) == 1 else None

    path, label, split, group = place("path", True), place("label", True), place("split"), place("group")
    if problems:
        several = any(" in the header" in problem for problem in problems)
        remedy = "give each a name of its own" if several else "name one by the option"
        fix = f"its columns are {_listed(table, range(len(table.header)))}; {remedy}"
        raise DataError("; ".join(problems), where=table.path, fix=_header_hint(table) or fix)
    assert path is not None
    assert label is not None
    return Columns(path, label, split, group)


def is_path_column(name: str) -> bool:
    """Return whether a column of this name usually names the pictures' files."""
    return _plain(name) in USUAL["path"]


def path_column(table: Table) -> int:
    """Return the place of the column that names the pictures' files; DataError where there is none, or several."""
    found = [place for place, name in enumerate(table.header) if is_path_column(name)]
    if len(found) == 1:
        return found[0]
    usual = ", ".join(f"'{name}'" for name in USUAL["path"])
    what = f"{len(found)} columns could name" if found else "no column names"
    fix = f"its columns are {_listed(table, range(len(table.header)))}; call one, and one alone, like these"
    raise DataError(f"{what} {_MEANING['path']} ({usual})", where=table.path, fix=_header_hint(table) or fix)


def _header_hint(table: Table) -> str:
    """Return what to write above a first row that names a picture, '' where there is none."""
    places = [place for place, cell in enumerate(table.header) if suffix_of(cell) in SUFFIXES]
    if not places:
        return ""
    header = ["file" if place == places[0] else "" for place in range(len(table.header))]
    if rest := [place for place in range(len(header)) if place != places[0]]:
        header[rest[0]] = "label"
    names = ",".join(name or f"column{place + 1}" for place, name in enumerate(header))
    return (
        f"its first row looks like data ('{table.header[places[0]]}'), not like a header; write one above it:  {names}"
    )


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def columns_read(table: Table, columns: Columns) -> str:
    """Return a sentence on which columns were read as what, and which were not."""
    read = {role: place for role, place in vars(columns).items() if place is not None}
    told = ", ".join(f"{_MEANING[role]} in '{table.header[place]}'" for role, place in read.items())
    others = [place for place, name in enumerate(table.header) if name and place not in read.values()]
    return f"columns read: {told}" + (f"; not read: {_listed(table, others)}" if others else "")


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name).lower()


def _listed(table: Table, places: Sequence[int]) -> str:
    return ", ".join(f"'{table.header[place]}'" for place in places)
