"""The contact sheet of a finding: its pictures with what was found of each, copies side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from striate.data.audit.finding import Finding
from striate.data.audit.pictures import Pictures
from striate.explain.drawing import to_array
from striate.explain.lettering import families, printable, wrapped

MOST = 64
COLUMNS = 8
SIDE, GAP, MARGIN = 1.1, 0.14, 0.2  # inches
TYPE, LINE = 7.0, 0.125  # points, inches
TITLE_TYPE, TITLE_LINE = 11, 0.2
LINES = 4  # under a picture


@dataclass(frozen=True, eq=False)
class _Cell:
    image: Tensor  # C H W
    lines: list[str]


def finding_sheet(finding: Finding, pictures: Pictures, numbers: Mapping[str, int]) -> Figure | None:
    """Return the figure of a finding's first 64 pictures, None where none of its cases is a picture.

    Args:
        finding: Its cases are shown in their order; pictures of one case have one number.
        pictures: All of them.
        numbers: By name.
    """
    cells = list(islice(_cells(finding, pictures, numbers), MOST))
    if not cells:
        return None
    columns = min(len(cells), COLUMNS)
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    width = max(columns * (SIDE + GAP) - GAP, 4.4) + 2 * MARGIN
    total = sum(len(case.names) for case in finding.cases)
    more = f", the first {len(cells)} of {total:,} pictures" if total > len(cells) else ""
    title = wrapped(f"{finding.summary}{more}", width - 2 * MARGIN, TITLE_TYPE, 3)
    _, high, wide = pictures.shape
    height = SIDE * min(max(high / wide, 0.25), 2.0)
    top = MARGIN + TITLE_LINE * len(title) + 0.08
    heights = [height + LINE * max(len(cell.lines) for cell in row) + GAP for row in rows]
    whole = top + sum(heights) + MARGIN
    start = (width - columns * (SIDE + GAP) + GAP) / 2
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, whole), dpi=150)
        figure.text(
            0.5, 1 - MARGIN / whole, "\n".join(title), ha="center", va="top", fontsize=TITLE_TYPE, parse_math=False
        )
        for row, row_height in zip(rows, heights, strict=True):
            for column, cell in enumerate(row):
                left, below = start + column * (SIDE + GAP), whole - top - height
                _draw(figure, cell, (left / width, below / whole, SIDE / width, height / whole), height)
            top += row_height
    return figure


def _cells(finding: Finding, pictures: Pictures, numbers: Mapping[str, int]) -> Iterator[_Cell]:
    for count, case in enumerate(finding.cases, 1):
        for name in case.names:
            if name not in numbers:
                continue
            said = case.detail
            if len(case.names) > 1:
                number = numbers[name]
                said = f"{count}. {pictures.part_names[int(pictures.part[number])]}: {pictures.labels[number]}"
            lines = wrapped(said, SIDE, TYPE, LINES - 2) if said else []
            yield _Cell(pictures.images(torch.tensor([numbers[name]]))[0], [*lines, *_end(name)])


def _end(name: str) -> list[str]:
    """Return a name in two lines, or as much of its end as there is room for."""
    return [line[::-1] for line in reversed(wrapped(printable(name)[::-1], SIDE, TYPE, 2))]


def _draw(figure: Figure, cell: _Cell, place: tuple[float, float, float, float], height: float) -> None:
    axis = figure.add_axes(place)
    axis.imshow(to_array(cell.image.float()), cmap="gray", vmin=0, vmax=255, interpolation="auto", aspect="equal")
    axis.set_axis_off()
    for number, line in enumerate(cell.lines):
        y = -LINE * (number + 1.1) / height
        text = axis.text(0.5, y, line, transform=axis.transAxes, ha="center", va="baseline", parse_math=False)
        text.set(fontsize=TYPE)
