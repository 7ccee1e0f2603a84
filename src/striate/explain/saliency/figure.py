"""The figure of saliency: each picture beside its maps, with what the network says and what every map is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from striate.explain.drawing import to_array
from striate.explain.lettering import families, wrapped
from striate.explain.predictions import Verdict
from striate.explain.saliency.grade import Grade, Word
from striate.explain.saliency.maps import Maps
from striate.explain.saliency.overlay import COLOURS, overlay

SIDE, GAP, MARGIN = 1.2, 0.16, 0.22  # inches
TYPE, LINE = 7.5, 0.135  # points, inches
LARGE = 64  # pixels of a picture that is enlarged no further
SIGNS: dict[Word, tuple[str, str]] = {"good": ("✓", "#0072b2"), "weak": ("~", "0.25"), "fails": ("✗", "#d55e00")}


@dataclass(frozen=True, eq=False)
class Row:
    """One picture.

    Args:
        image: C H W on 0 … 255.
        said: Lines under it.
        verdict: How it is framed.
    """

    image: Tensor
    said: Sequence[str]
    verdict: Verdict


def saliency_figure(rows: Sequence[Row], maps: Sequence[Maps], grades: Sequence[Sequence[Grade]], title: str) -> Figure:
    """Return the figure: a row per picture, a column per method; a blank map is not drawn, the reason stands there.

    Args:
        rows: The pictures, one or more.
        maps: Of each method, all pictures.
        grades: Of each method, all pictures.
        title: Over the whole.
    """
    columns = 1 + len(maps)
    high, wide = rows[0].image.shape[1:]
    picture = SIDE * min(max(high / wide, 0.4), 2.0)
    width = max(columns * (SIDE + GAP) - GAP, 3.4) + 2 * MARGIN
    heads = wrapped(title, width - 2 * MARGIN, 11, 3)
    row_height = picture + LINE * max(*(len(row.said) for row in rows), 3) + GAP
    top, foot = MARGIN + 0.2 * len(heads) + 0.3, 0.4
    height = top + row_height * len(rows) + foot
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=110 if max(high, wide) >= LARGE else 130)
        figure.text(0.5, 1 - MARGIN / height, "\n".join(heads), ha="center", va="top", fontsize=11, parse_math=False)
        left = (width - columns * (SIDE + GAP) + GAP) / 2
        for number, row in enumerate(rows):
            for column in range(columns):
                place = (
                    (left + column * (SIDE + GAP)) / width,
                    (height - top - number * row_height - picture) / height,
                    SIDE / width,
                    picture / height,
                )
                axis = figure.add_axes(place)
                without_frame(axis)
                if column == 0:
                    _draw_picture(axis, row)
                else:
                    _draw_map(axis, row, maps[column - 1], number, grades[column - 1][number], picture)
                if number == 0 and column:
                    head = "\n".join(wrapped(maps[column - 1].title, SIDE, 8, 2))
                    axis.set_title(head, fontsize=8, pad=3, linespacing=1.05)
        draw_scale(figure, width, height, "nothing", "most for the answer")
    return figure


def without_frame(axis: Axes) -> None:
    """Leave nothing of an axis but what is drawn in it."""
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _draw_picture(axis: Axes, row: Row) -> None:
    axis.imshow(to_array(row.image.float()), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
    frame = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, clip_on=False)
    frame.set(edgecolor=row.verdict.colour, linestyle=row.verdict.style, linewidth=row.verdict.width)
    axis.add_patch(frame)
    for number, line in enumerate(row.said):
        write_under(axis, number, line, row.verdict.colour if number == 0 else "black")


def _draw_map(axis: Axes, row: Row, maps: Maps, number: int, grade: Grade, height: float) -> None:
    blank = maps.blank[number]
    if blank is None:
        axis.imshow(overlay(row.image, maps.values[number]), interpolation="nearest", aspect="equal")
    else:
        axis.set(xlim=(0, 1), ylim=(0, 1), facecolor="0.94")
        reason = "\n".join(wrapped(f"no map: {blank}", SIDE - 0.16, TYPE, max(1, min(4, int(height / LINE)))))
        axis.text(0.5, 0.5, reason, ha="center", va="center", fontsize=TYPE, color="0.25", parse_math=False)
    sign, colour = SIGNS[grade.word]
    write_under(axis, 0, f"{sign} {grade.word}", colour)
    if blank is None:
        for line, text in enumerate(wrapped(grade.reason, SIDE, TYPE, 2), 1):
            write_under(axis, line, text, "0.25")


def write_under(axis: Axes, number: int, text: str, colour: str) -> None:
    """Write a line of text under what is drawn, the first being number 0."""
    axis.annotate(
        text,
        (0.5, 0),
        xycoords="axes fraction",
        xytext=(0, -72 * LINE * (number + 1.1)),
        textcoords="offset points",
        annotation_clip=False,
        ha="center",
        va="baseline",
        fontsize=TYPE,
        color=colour,
        parse_math=False,
    )


def draw_scale(figure: Figure, width: float, height: float, least: str, most: str) -> None:
    """Draw the colours' key at the foot of a figure of so many inches, between the words for its ends."""
    long, thick = 1.1, 0.09
    axis = figure.add_axes(((width - long) / 2 / width, 0.15 / height, long / width, thick / height))
    axis.imshow([list(range(64))], cmap=colormaps[COLOURS], aspect="auto")
    without_frame(axis)
    for x, side, text in ((-0.05, "right", least), (1.05, "left", most)):
        axis.text(x, 0.5, text, transform=axis.transAxes, ha=side, va="center", fontsize=7)
