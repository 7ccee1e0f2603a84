"""A chapter as a section of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from PIL import Image

from striate.explain.chapter import Chapter, Effort, Plate, Table
from striate.explain.record.confusion import MOST_NUMBERED
from striate.explain.report.images import figure_element
from striate.explain.report.markup import Content, Markup, escaped, named, tag, wide
from striate.explain.report.matrix import gallery, matrix
from striate.explain.subject import Subject

COMMAND = "command"  # the column whose cells are to be typed
LONGEST = 24  # letters of a word that is kept whole
_NUMBER = re.compile(r"[−-]?[\d.,]+( ?%|e[+-]?\d+)?( \(.*\))?|n/a|off|none")


def section(chapter: Chapter, images: Mapping[str, Image.Image], subject: Subject, effort: Effort) -> Markup:
    """Return a chapter's section: text, warnings, figures, tables.

    Args:
        chapter: What to set.
        images: Its drawn figures by their plates' names; those not here are left out.
        subject: What it is about.
        effort: How many pictures a gallery may have.
    """
    body: list[Content] = [tag("p", _typeset(paragraph)) for paragraph in chapter.text]
    body += [tag("p", tag("strong", "Mind: "), _typeset(warning), class_="warning") for warning in chapter.warnings]
    if chapter.name == "confusion":
        body.append(matrix(subject))
    shown = [plate for plate in chapter.plates if plate.name in images]
    body += [_figure(plate, images[plate.name], f"{chapter.name}-{n}") for n, plate in enumerate(shown, start=1)]
    body += [table(one) for one in chapter.tables]
    if chapter.name == "confusion":
        body.append(gallery(subject, effort))
    heading = tag("h2", chapter.title, id=f"{chapter.name}-title")
    return tag("section", heading, body, id=chapter.name, aria_labelledby=f"{chapter.name}-title")


def is_drawn(plate: Plate, subject: Subject) -> bool:
    """Return whether a report shows this figure; a small confusion matrix is set as a table that leads to pictures."""
    return plate.name != "confusion-matrix" or len(subject.classes) > MOST_NUMBERED


def _figure(plate: Plate, image: Image.Image, name: str) -> Markup:
    shown = figure_element(image, plate.figure.dpi, readable_alt(plate))
    caption = tag("figcaption", _typeset(plate.caption))
    return tag("figure", wide(shown, plate.alt), caption, class_="plate", id=f"{name}-figure")


def readable_alt(plate: Plate) -> str:
    """Return what a reader who does not see a figure is told; its caption where there is nothing better."""
    return plate.alt or plate.caption


def table(one: Table) -> Markup:
    """Return a table; numbers are set to the right, commands as such."""
    numeric = [_is_numeric([row[column] for row in one.rows]) for column in range(len(one.columns))]
    head = tag(
        "tr",
        [tag("th", name, scope="col", class_="n" if n else None) for name, n in zip(one.columns, numeric, strict=True)],
    )
    rows = [_row(row, one.columns, numeric) for row in one.rows]
    caption = tag("caption", one.caption) if one.caption else ""
    return wide(tag("table", caption, tag("thead", head), tag("tbody", rows)), one.caption or "Table")


def _row(row: Sequence[str], columns: Sequence[str], numeric: Sequence[bool]) -> Markup:
    cells = []
    for column, (cell, n) in enumerate(zip(row, numeric, strict=True)):
        content = tag("code", cell) if columns[column] == COMMAND else _typeset(cell) if n else named(cell)
        kind = "n" if n else "long" if _is_long(cell) else None
        if column == 0:
            cells.append(tag("th", content, scope="row", class_=kind))
        else:
            cells.append(tag("td", content, class_=kind))
    return tag("tr", cells)


def _typeset(text: str) -> Markup:
    """Return text whose numbers stay with their per cent signs."""
    return escaped(text.replace(" %", "\N{NO-BREAK SPACE}%"))


def _is_long(cell: str) -> bool:
    """Return whether a cell has to be broken within a word."""
    return any(len(word) > LONGEST for word in cell.split())


def _is_numeric(cells: Sequence[str]) -> bool:
    return bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells) and any(cell[:1].isdigit() for cell in cells)
