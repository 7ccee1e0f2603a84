"""Rows of pictures under headings, each picture with a few lines about it: the figure of what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from striate.explain.lettering import families, text_width, told, wrapped
from striate.explain.predictions import UNKNOWN, Verdict
from striate.explain.thumbnails import Pixels, paste, thumbnails

DPI = 150
SIDE, GAP, MARGIN = 112, 16, 30  # pixels
TEXT = SIDE + GAP // 2  # pixels that a line under a picture may be wide
TYPE, LINE = 7.0, 19  # points, pixels
HEAD_TYPE, HEAD_LINE = 8.5, 24
TITLE_TYPE, TITLE_LINE = 11.0, 30
LEAST_COLUMNS = 5
WRAPPED = 2  # lines that a long one is broken into


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture of a row.

    Args:
        image: C H W on 0 … 255.
        lines: Under it; long ones are broken in two or shortened.
        verdict: Its frame.
    """

    image: Tensor
    lines: Sequence[str]
    verdict: Verdict = UNKNOWN


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures side by side.

    Args:
        head: Over them; with `names`, a sentence with '{}' for each of them.
        pictures: At least one.
        leads: Whether the first is what the others are compared with, and stands apart.
        names: Of the head: long ones are cut, so that the rest of it is there.
    """

    head: str
    pictures: Sequence[Shown]
    leads: bool = False
    names: Sequence[str] = ()

    def head_lines(self, inches: float) -> list[str]:
        """Return the head in at most two lines of so many inches."""
        if not self.names:
            return wrapped(self.head, inches, HEAD_TYPE, 2)
        return told(self.head, self.names, inches, HEAD_TYPE, 2)


def picture_rows(rows: Sequence[Row], title: str) -> Figure:
    """Return the figure of rows of pictures of one size, laid out in whole pixels so that nothing overlaps."""
    columns = max(LEAST_COLUMNS, *(len(row.pictures) for row in rows))
    apart = GAP if any(row.leads for row in rows) else 0
    width = columns * (SIDE + GAP) - GAP + apart + 2 * MARGIN
    inches = (width - 2 * MARGIN) / DPI
    titles = wrapped(title, inches, TITLE_TYPE, 3)
    heads = [row.head_lines(inches) for row in rows]
    texts = [[_lines(shown) for shown in row.pictures] for row in rows]
    sized = [[thumbnails(shown.image[None], SIDE)[0] for shown in row.pictures] for row in rows]
    top = MARGIN // 2 + TITLE_LINE * len(titles)
    tops = []
    for head, lines, pictures in zip(heads, texts, sized, strict=True):
        tops.append(top)
        top += HEAD_LINE * len(head) + 8 + max(len(picture) for picture in pictures)
        top += LINE * max(map(len, lines)) + GAP + 4
    height = top + MARGIN // 2
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        axis = figure.add_axes((0, 0, 1, 1))
        canvas: Pixels = np.full((height, width, 3), 255, np.uint8)
        _say(axis, titles, width / 2, MARGIN // 2, TITLE_TYPE, TITLE_LINE)
        for row, top, head, lines, pictures in zip(rows, tops, heads, texts, sized, strict=True):
            _say(axis, head, MARGIN, top + 4, HEAD_TYPE, HEAD_LINE, left=True)
            below = top + 8 + HEAD_LINE * len(head)
            deepest = max(len(picture) for picture in pictures)
            for column, (shown, said, picture) in enumerate(zip(row.pictures, lines, pictures, strict=True)):
                left = MARGIN + column * (SIDE + GAP) + (apart if row.leads and column else 0)
                high, wide = picture.shape[:2]
                start = left + (SIDE - wide) // 2
                paste(canvas, picture, below, start)
                axis.add_patch(_frame(shown.verdict, start, below, wide, high))
                _say(axis, said, left + SIDE / 2, below + deepest + 5, TYPE, LINE, shown.verdict.colour)
        axis.imshow(canvas, extent=(0, width, height, 0), interpolation="nearest")
        axis.set_axis_off()
    return figure


def together(first: str, second: str) -> list[str]:
    """Return two texts as one line under a picture where it is wide enough for both, else as two."""
    both = f"{first}  {second}"
    return [both] if text_width(both, TYPE) <= TEXT / DPI else [first, second]


def _lines(shown: Shown) -> list[str]:
    return [part for line in shown.lines for part in _broken(line)]


@cache
def _broken(line: str) -> list[str]:
    return wrapped(line, TEXT / DPI, TYPE, WRAPPED)


def _frame(verdict: Verdict, left: int, top: int, width: int, height: int) -> Rectangle:
    frame = Rectangle((left, top), width, height, fill=False)
    frame.set(edgecolor=verdict.colour, linestyle=verdict.style, linewidth=verdict.width)
    return frame


def _say(
    axis: Axes,
    lines: Sequence[str],
    x: float,
    y: float,
    size: float,
    step: int,
    colour: str = "black",
    left: bool = False,
) -> None:
    for number, line in enumerate(lines):
        text = axis.text(x, y + number * step, line, ha="left" if left else "center", va="top", parse_math=False)
        text.set(fontsize=size, color=colour)
