"""A chapter: what one way of looking at a trained network shows, as figures, tables, sentences and plain values.

`striate explain` writes a chapter's figures as files, the report sets them as a page. A way of looking is a function
from a `Subject` and an `Effort` to a `Chapter`, entered in `CHAPTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure
from pydantic import JsonValue

from striate.core.registry import Registry
from striate.explain.subject import Subject

Effort = Literal["quick", "full"]  # what a report after training can afford, within seconds; and what was asked for


@dataclass(frozen=True, eq=False)
class Plate:
    """A figure with what it shows.

    Args:
        name: The stem of its file, unique in the whole of a report: 'filters-stage1'.
        figure: The figure; its title stands in it.
        caption: A sentence or two on how to read it.
        alt: What a reader who does not see it is told.
    """

    name: str
    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Table:
    """Rows of text under column heads.

    Args:
        columns: Heads.
        rows: As many cells each.
        caption: What it tells.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Chapter:
    """What one way of looking shows.

    Args:
        name: As in `CHAPTERS`.
        title: For people.
        text: Paragraphs, plain text.
        plates: Figures in order.
        tables: After them.
        values: What was found, as plain values, for machines.
        warnings: What the reader must not overlook, a sentence each.
        files: Moving pictures and the like, by name, to be written beside the figures.
    """

    name: str
    title: str
    text: Sequence[str] = ()
    plates: Sequence[Plate] = ()
    tables: Sequence[Table] = ()
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


Writer = Callable[[Subject, Effort], Chapter]
CHAPTERS: Registry[Writer] = Registry("chapter")
