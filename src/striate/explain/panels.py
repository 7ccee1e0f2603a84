"""Matrices as panels of coloured cells, set in rows on one sheet so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_NUMBERS = 16  # cells along a side, beyond which a matrix is shown as a picture, without numbers
CELL = 0.46  # inches
PICTURE = 3.6  # inches, the longer side of a matrix shown as a picture
GAP, MARGIN = 0.45, 0.3
TITLE, NOTE = 0.26, 0.24  # room over and under a panel
DIGIT, SIGN = 0.64, 0.84  # widths in font sizes
ORANGE = "#e69f00"  # told apart from red, blue and grey by every reader (Okabe and Ito 2008)


@dataclass(frozen=True)
class Box:
    """A rectangle round some cells.

    Args:
        row: First row, 0 at the top.
        column: First column.
        height: Rows.
        width: Columns.
        text: A short mark at its right, or nothing.
    """

    row: int
    column: int
    height: int = 1
    width: int = 1
    text: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """One matrix.

    Args:
        values: n1 n2; NaN for cells that are still empty.
        title: Over it.
        note: Under it.
        texts: n1 n2 strings for the cells; None for the values, or for no text in large matrices.
        limit: The value of full colour; None for the largest in `values`.
        grey: Show on a grey scale from 0 to `limit`; otherwise blue is positive, red negative, white 0.
        border: Cells of border (before, after) along both axes, in plain grey.
        boxes: What is framed.
    """

    values: Array
    title: str
    note: str = ""
    texts: Sequence[Sequence[str]] | None = None
    limit: float | None = None
    grey: bool = False
    border: Sequence[tuple[int, int]] = ((0, 0), (0, 0))
    boxes: Sequence[Box] = ()

    @property
    def has_cells(self) -> bool:
        """Whether single cells are drawn, with numbers."""
        return bool(max(self.values.shape) <= MAX_NUMBERS)

    @property
    def matrix_size(self) -> tuple[float, float]:
        """Width and height of the matrix in inches."""
        rows, columns = self.values.shape
        scale = CELL if self.has_cells else PICTURE / max(rows, columns)
        return columns * scale, rows * scale

    @property
    def in_border(self) -> NDArray[np.bool_]:
        """Which cells are border, n1 n2."""
        (above, below), (before, after) = self.border
        rows, columns = self.values.shape
        border = np.ones((rows, columns), dtype=bool)
        border[above : rows - below, before : columns - after] = False
        return border

    @property
    def width(self) -> float:
        """Width in inches, with room for the title."""
        return max(self.matrix_size[0], text_width(self.title, 8))


def text_width(text: str, size: float) -> float:
    """Return about how many inches a line of text takes."""
    return len(text) * size * 0.54 / 72


def sheet(rows: Sequence[Sequence[Panel]], title: str, caption: str = "", dpi: int = 150) -> Figure:
    """Return rows of panels, each row centred, with a title over all and a caption under it."""
    heights = [TITLE + max(panel.matrix_size[1] for panel in row) + NOTE for row in rows]
    inner = max(sum(panel.width for panel in row) + GAP * (len(row) - 1) for row in rows)
    width = max(inner, text_width(title, 11)) + 2 * MARGIN
    lines = wrap(caption, int((width - 2 * MARGIN) / text_width("n", 8)))
    head, foot = 0.45, MARGIN + 0.16 * len(lines)
    height = head + sum(heights) + 0.12 * (len(rows) - 1) + foot
    figure = Figure(figsize=(width, height), dpi=dpi)
    figure.text(0.5, 1 - 0.26 / height, title, ha="center", va="center", fontsize=11, parse_math=False)
    figure.text(0.5, 0.12 / height, "\n".join(lines), ha="center", va="bottom", fontsize=8, color="0.3")
    top = head
    for row, row_height in zip(rows, heights, strict=True):
        left = (width - sum(panel.width for panel in row) - GAP * (len(row) - 1)) / 2
        for panel in row:
            w, h = panel.matrix_size
            x = left + (panel.width - w) / 2
            y = height - top - TITLE - (row_height - TITLE - NOTE + h) / 2  # centred in its row
            _draw(panel, figure.add_axes((x / width, y / height, w / width, h / height)))
            left += panel.width + GAP
        top += row_height + 0.12
    return figure


def _draw(panel: Panel, axis: Axes) -> None:
    finite = np.abs(panel.values[np.isfinite(panel.values)])
    limit = panel.limit or (finite.max() if finite.size else 0) or 1.0
    low, colours = (0.0, "gray") if panel.grey else (-limit, "RdBu")
    stretch = 1.6 if panel.has_cells else 1.0  # under numbers no cell is too dark for black type
    shown = np.where(panel.in_border, np.nan, panel.values)
    axis.imshow(shown, cmap=colours, vmin=stretch * low, vmax=stretch * limit, interpolation="nearest", aspect="auto")
    axis.set_facecolor("0.93" if panel.in_border.any() else "white")  # is seen where nothing is shown
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(panel.title, fontsize=8, pad=4, parse_math=False)
    axis.set_xlabel(panel.note, fontsize=8, labelpad=3, parse_math=False)
    if panel.has_cells:
        _draw_cells(panel, axis)
    for box in panel.boxes:
        _draw_box(box, axis, panel)


def _draw_cells(panel: Panel, axis: Axes) -> None:
    rows, columns = panel.values.shape
    axis.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="0.75", linewidth=0.6)
    axis.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="0.75", linewidth=0.6)
    texts = panel.texts or [[number_text(value) for value in row] for row in panel.values]
    longest = max(sum(SIGN if letter in "×−" else DIGIT for letter in text) for row in texts for text in row)
    size = min(9.0, 0.86 * CELL * 72 / max(longest, 1.0))
    for i, j in np.ndindex(rows, columns):
        colour = "0.45" if panel.in_border[i, j] else "black"
        axis.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=colour, parse_math=False)


def _draw_box(box: Box, axis: Axes, panel: Panel) -> None:
    inset = 0.0 if panel.has_cells else -0.012 * max(panel.values.shape)  # a window of a photograph is a dot
    axis.add_patch(
        Rectangle(
            (box.column - 0.5 + inset, box.row - 0.5 + inset),
            box.width - 2 * inset,
            box.height - 2 * inset,
            fill=False,
            edgecolor=ORANGE,
            linewidth=2.4 if panel.has_cells else 1.8,
            clip_on=False,
            zorder=3,
        )
    )
    if box.text:
        axis.annotate(
            box.text,
            (box.column + box.width - 0.5 - inset, box.row + box.height / 2 - 0.5),
            xytext=(3, 0),
            textcoords="offset points",
            annotation_clip=False,
            va="center",
            fontsize=9,
            fontweight="bold",
            color="black",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": ORANGE, "edgecolor": "none"},
            zorder=4,
        )


def number_text(value: float) -> str:
    """Return a number short enough for a cell: whole numbers whole, others with three digits; '' for NaN."""
    if np.isnan(value):
        return ""
    value += 0.0  # no minus before zero
    text = f"{value:.0f}" if value == round(value) and abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("-", "−")
