"""The sheet of average maps: where each class is decided, and the regions that carry decisions they should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from striate.explain.lettering import families, wrapped
from striate.explain.saliency.class_maps import ClassMap
from striate.explain.saliency.figure import LINE, draw_scale, without_frame, write_under
from striate.explain.saliency.overlay import overlay
from striate.explain.saliency.transplant import Region

SIDE, GAP, MARGIN, COLUMNS = 1.2, 0.16, 0.22, 6  # inches
TYPE = 7.5  # points
ALARM = "#d55e00"  # vermilion (Okabe and Ito 2008)


@dataclass(frozen=True, eq=False)
class Cell:
    """One class.

    Args:
        name: The class.
        average: Its map.
        marked: The regions that carry its decision.
    """

    name: str
    average: ClassMap
    marked: Sequence[Region] = ()


def shortcut_figure(cells: Sequence[Cell], title: str, findings: Sequence[str]) -> Figure:
    """Return the figure: the average map of each class over its mean picture; what raises an alarm is outlined.

    Args:
        cells: The classes, one or more.
        title: Over the whole.
        findings: Under the title, a line each in the colour of alarm.
    """
    columns = min(len(cells), COLUMNS)
    rows = -(-len(cells) // columns)
    high, wide = cells[0].average.picture.shape[1:]
    picture = SIDE * min(max(high / wide, 0.4), 2.0)
    width = max(columns * (SIDE + GAP) - GAP, 4.4) + 2 * MARGIN
    heads = wrapped(title, width - 2 * MARGIN, 11, 3)
    said = [line for text in findings for line in wrapped(text, width - 2 * MARGIN, 8, 3)]
    row_height = picture + LINE * 3 + GAP
    top = MARGIN + 0.2 * len(heads) + 0.15 * len(said) + 0.12
    height = top + rows * row_height + 0.4
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=130)
        figure.text(0.5, 1 - MARGIN / height, "\n".join(heads), ha="center", va="top", fontsize=11, parse_math=False)
        for number, line in enumerate(said):
            y = 1 - (MARGIN + 0.2 * len(heads) + 0.15 * number + 0.04) / height
            figure.text(0.5, y, line, ha="center", va="top", fontsize=8, color=ALARM, parse_math=False)
        left = (width - columns * (SIDE + GAP) + GAP) / 2
        for number, cell in enumerate(cells):
            row, column = divmod(number, columns)
            x, y = left + column * (SIDE + GAP), height - top - row * row_height - picture
            axis = figure.add_axes((x / width, y / height, SIDE / width, picture / height))
            _draw(axis, cell)
        draw_scale(figure, width, height, "decides nothing", "decides most")
    return figure


def _draw(axis: Axes, cell: Cell) -> None:
    average = cell.average
    if average.values is None:
        axis.set(facecolor="0.94")
        axis.text(0.5, 0.5, "no map:\nall are blank", ha="center", va="center", fontsize=TYPE, color="0.25")
    else:
        shown = overlay(average.picture, average.values)
        axis.imshow(shown, interpolation="nearest", aspect="equal")
        for region in cell.marked:
            _outline(axis, region)
    without_frame(axis)
    pictures = f"{average.count} picture" + ("" if average.count == 1 else "s")
    lines = [*wrapped(cell.name, SIDE, TYPE, 2), pictures]
    for number, line in enumerate(lines):
        write_under(axis, number, line, "0.35" if number == len(lines) - 1 else "black")


def _outline(axis: Axes, region: Region) -> None:
    """Draw the region's edge, also where it is the picture's."""
    padded = np.pad(region.mask.numpy().astype(float), 1)
    high, wide = region.mask.shape
    ys, xs = np.arange(-1, high + 1), np.arange(-1, wide + 1)
    fine = 8  # points per pixel, so that the line has corners
    grid = np.kron(padded, np.ones((fine, fine)))
    at = [
        np.linspace(axis_[0] - 0.5 + 0.5 / fine, axis_[-1] + 0.5 - 0.5 / fine, len(axis_) * fine) for axis_ in (xs, ys)
    ]
    lines = axis.contour(at[0], at[1], grid, levels=[0.5], colors=ALARM, linewidths=1.8)
    lines.set_clip_on(False)
    axis.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5))
