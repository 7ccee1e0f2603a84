"""Maps of pictures: as coloured points, or with the pictures themselves, errors marked and classes named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from striate.explain.embedding.places import Box, on_grid, place_names, snapped
from striate.explain.embedding.style import Style
from striate.explain.lettering import families, text_width, wrapped
from striate.explain.thumbnails import Pixels, paste, thumbnails

DPI = 150
WIDTH, HEIGHT = 1020, 840  # pixels of the map
MARGIN, TITLE_LINE, FOOT, LINE = 30, 30, 34, 20  # pixels
TITLE_TYPE, NAME_TYPE, TYPE = 11.0, 8.0, 7.5  # points
EDGE = 0.03  # of the map that stays free at each side
LONGEST_NAME, NAME_HEIGHT = 1.25, 24  # inches, pixels
REACH = 130  # pixels that a name may lie from its group's middle
MOST_NAMES = 24  # of the largest groups: more would hide the map
FRAME, LEAST_CELL, LARGEST_CELL = 2, 40, 90  # pixels
ERROR: dict[str, Any] = {"marker": "X", "c": "black", "edgecolors": "white", "linewidths": 0.7}


@dataclass(frozen=True, eq=False)
class Map:
    """Pictures with their places on a map.

    Args:
        points: Float, N 2; x to the right and y upwards.
        groups: int64, N.
        names: Of the groups.
        styles: Of the groups.
        right: Which answers are right, bool N; None where that is not told.
    """

    points: Tensor
    groups: Tensor
    names: Sequence[str]
    styles: Sequence[Style]
    right: Tensor | None = None

    @property
    def pixels(self) -> Tensor:
        """x and y on the map in pixels from its upper left corner, float64 N 2."""
        low, high = self.points.amin(0), self.points.amax(0)
        spread = (high - low).double()
        inside = torch.where(spread > 0, (self.points.double() - low) / spread.clamp_min(1e-300), 0.5)
        inside[:, 1] = 1 - inside[:, 1]
        return (EDGE + (1 - 2 * EDGE) * inside) * torch.tensor([WIDTH, HEIGHT])

    @property
    def wrong(self) -> Tensor:
        """Numbers of the wrongly answered pictures, int64."""
        return torch.empty(0, dtype=torch.int64) if self.right is None else (~self.right).nonzero().squeeze(1)


def points_map(shown: Map, title: str, axes: tuple[str, str] = ("", "")) -> Figure:
    """Return the map with a coloured point per picture, a cross on each wrong answer, and the names of the groups.

    Args:
        shown: What is on it.
        title: Over it.
        axes: What lies along x and y, where that means anything.
    """
    places = shown.pixels
    size = min(22.0, max(6.0, 6000 / len(places)))  # points²
    with rc_context({"font.family": families()}):
        figure, axis = _sheet(title, axes)
        for style in dict.fromkeys(shown.styles):
            alike = torch.tensor([other == style for other in shown.styles])
            there = places[alike[shown.groups]]
            axis.scatter(there[:, 0], there[:, 1], size, style.colour, marker=style.mark, linewidths=0, alpha=0.75)
        wrong = places[shown.wrong]
        axis.scatter(wrong[:, 0], wrong[:, 1], 26, zorder=3, **ERROR)
        for group, box in _named(shown):
            _draw_name(axis, shown, group, box)
        _draw_foot(figure, shown, f"{len(places):,} pictures", 26)
    return figure


def pictures_map(shown: Map, images: Tensor, title: str) -> Figure:
    """Return the map with the pictures themselves on a grid, so that none hides another, framed in their colours.

    Each cell of the grid shows the picture nearest to its middle; where many crowd, others take free cells beside
    theirs (`snapped`). Under a name there is none.

    Args:
        shown: What is on it.
        images: uint8, N C H W.
        title: Over it.
    """
    cell = _cell_side(images)
    columns, rows = WIDTH // cell, HEIGHT // cell
    across, down = (WIDTH - columns * cell) // 2, (HEIGHT - rows * cell) // 2
    cells = [[Box(across + x * cell, down + y * cell, cell, cell) for x in range(columns)] for y in range(rows)]
    named = _named(shown)
    moved = on_grid([box for _, box in named], cell, (across, down))
    named = [(group, box) for (group, _), box in zip(named, moved, strict=True)]
    under = [[any(place.meets(box) for _, box in named) for place in line] for line in cells]
    chosen = snapped(shown.pixels / torch.tensor([WIDTH, HEIGHT]), torch.tensor(under)).tolist()
    numbers = [
        (number, place)
        for numbers, places in zip(chosen, cells, strict=True)
        for number, place in zip(numbers, places, strict=True)
        if number >= 0
    ]
    marks = []
    with rc_context({"font.family": families()}):
        figure, axis = _sheet(title, ("", ""))
        canvas: Pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        small = thumbnails(images[[number for number, _ in numbers]], cell - 2 * FRAME)
        for (number, place), picture in zip(numbers, small, strict=True):
            colour = np.array(to_rgb(shown.styles[int(shown.groups[number])].colour))
            framed = np.empty((picture.shape[0] + 2 * FRAME, picture.shape[1] + 2 * FRAME, 3), np.uint8)
            framed[:] = (255 * colour).round()
            framed[FRAME:-FRAME, FRAME:-FRAME] = picture
            left, top = (
                int(place.left) + (cell - framed.shape[1]) // 2,
                int(place.top) + (cell - framed.shape[0]) // 2,
            )
            paste(canvas, framed, top, left)
            if shown.right is not None and not shown.right[number]:
                marks.append((left + framed.shape[1] - 7, top + 7))
        axis.imshow(canvas, extent=(0, WIDTH, HEIGHT, 0), interpolation="nearest", aspect="auto", zorder=0)
        axis.scatter([x for x, _ in marks], [y for _, y in marks], 34, zorder=3, **ERROR)
        for group, box in named:
            _draw_name(axis, shown, group, box)
        _draw_foot(figure, shown, f"{len(numbers):,} of {len(images):,} pictures", 34)
    return figure


def _cell_side(images: Tensor) -> int:
    """Return the side of a grid's cell in pixels: there are about as many cells as pictures."""
    wanted = min(max(math.sqrt(WIDTH * HEIGHT / len(images)), LEAST_CELL), LARGEST_CELL)
    longer = max(images.shape[2], images.shape[3])
    if longer > LEAST_CELL:
        return round(wanted)
    return max(1, round((wanted - 2 * FRAME) / longer)) * longer + 2 * FRAME + 1  # enlarged by whole pixels


def _sheet(title: str, axes: tuple[str, str]) -> tuple[Figure, Axes]:
    """Return a figure with the map's axis, whose unit is a pixel from its upper left corner."""
    width = WIDTH + 2 * MARGIN
    lines = wrapped(title, (width - 2 * MARGIN) / DPI, TITLE_TYPE, 2)
    top = MARGIN // 2 + TITLE_LINE * len(lines) + 4
    bottom = FOOT + (LINE + 4 if axes[0] else 0)
    height = top + HEIGHT + bottom
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    text = figure.text(0.5, 1 - MARGIN / 2 / height, "\n".join(lines), ha="center", va="top", parse_math=False)
    text.set_fontsize(TITLE_TYPE)
    axis = figure.add_axes((MARGIN / width, bottom / height, WIDTH / width, HEIGHT / height))
    axis.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), xticks=[], yticks=[])
    axis.spines[:].set_color("0.8")
    axis.set_xlabel(axes[0], fontsize=TYPE, labelpad=4)
    axis.set_ylabel(axes[1], fontsize=TYPE, labelpad=4)
    return figure, axis


def _named(shown: Map) -> list[tuple[int, Box]]:
    """Return the groups whose names find room, the largest first, with their places in pixels."""
    sizes = torch.bincount(shown.groups, minlength=len(shown.names))
    order = [group for group in sizes.argsort(descending=True, stable=True).tolist() if sizes[group]][:MOST_NAMES]
    places = shown.pixels
    anchors = []
    for group in order:
        own = places[shown.groups == group]
        middle = own.median(0).values
        x, y = own[(own - middle).square().sum(1).argmin()].tolist()  # one of them: a ring's middle is empty
        anchors.append((x, y))
    widths = [DPI * text_width(_short(shown.names[group]), NAME_TYPE) + 14 for group in order]
    boxes = place_names(anchors, [(width, NAME_HEIGHT) for width in widths], (WIDTH, HEIGHT), REACH)
    return [(group, box) for group, box in zip(order, boxes, strict=True) if box is not None]


def _short(name: str) -> str:
    return wrapped(name, LONGEST_NAME, NAME_TYPE, 1)[0]


def _draw_name(axis: Axes, shown: Map, group: int, box: Box) -> None:
    frame = Rectangle((box.left + 1, box.top + 1), box.width - 2, box.height - 2, zorder=4)
    frame.set(facecolor="white", edgecolor=shown.styles[group].colour, linewidth=1.6, alpha=0.93)
    axis.add_patch(frame)
    x, y = box.left + box.width / 2, box.top + box.height / 2
    text = axis.text(x, y, _short(shown.names[group]), ha="center", va="center_baseline", zorder=5, parse_math=False)
    text.set_fontsize(NAME_TYPE)


def _draw_foot(figure: Figure, shown: Map, counted: str, size: float) -> None:
    """Say what is shown at the lower left, and what the marks mean at the lower right."""
    width, height = figure.get_size_inches() * DPI
    figure.text(MARGIN / width, 8 / height, counted, fontsize=TYPE, va="bottom")
    if not len(shown.wrong):
        return
    cross = Line2D([], [], linestyle="none", marker="X", markersize=size**0.5, color="black", markeredgecolor="white")
    told = f"wrong answer ({len(shown.wrong):,} of {len(shown.points):,})"
    figure.legend(
        [cross],
        [told],
        loc="lower right",
        bbox_to_anchor=(1 - MARGIN / width, 0),
        fontsize=TYPE,
        frameon=False,
        handletextpad=0.2,
        borderaxespad=0.1,
    )
