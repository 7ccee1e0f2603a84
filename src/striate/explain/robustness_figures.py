"""Figures of robustness: what answers do while pictures change, over all of them and one by one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from striate.data.dataset import label_texts
from striate.explain.changes import Change
from striate.explain.lettering import families, wrapped
from striate.explain.predictions import NO_CLASS
from striate.explain.stability import Curves
from striate.explain.thumbnails import thumbnails

DPI = 150
TYPE = 7.5  # points
BLUE, ORANGE = "#0072b2", "#d55e00"  # Okabe and Ito 2008
PANEL, COLUMNS = (1.75, 1.3), 4  # inches
SMALL_PANEL, PICTURE = (0.92, 0.78), 0.78


def shares_figure(curves: Sequence[Curves], labels: Tensor | None, title: str) -> Figure:
    """Return a panel per change: the share of kept answers with its interval, and of right ones, over the strength.

    Args:
        curves: Of the same pictures.
        labels: Their true classes, int64 N or bool N K; None where they are not known.
        title: Over all.
    """
    rows = (len(curves) + COLUMNS) // COLUMNS  # with room for the legend
    width = COLUMNS * PANEL[0] + 0.2
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, rows * PANEL[1] + rows * 0.35 + 0.5), dpi=DPI, layout="constrained")
        figure.suptitle("\n".join(wrapped(title, width - 0.3, 11, 2)), fontsize=11, parse_math=False)
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for one, axis in zip(curves, axes, strict=False):
            _scale(axis, one.change)
            strengths, low_high = one.change.strengths, torch.tensor(one.kept_interval)
            axis.fill_between(strengths, low_high[:, 0], low_high[:, 1], color=BLUE, alpha=0.25, linewidth=0)
            axis.plot(strengths, one.kept_share, color=BLUE, marker="o", markersize=3, linewidth=1.3, label="kept")
            if labels is not None:
                right = one.right(labels).double().mean(1)
                axis.plot(strengths, right, color=ORANGE, linestyle="--", linewidth=1.3, label="right")
            axis.set_ylim(0, 1.03)
            axis.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
            axis.set_title(_headed(one.change), fontsize=8)
            axis.tick_params(labelsize=TYPE)
        for axis in axes[len(curves) :]:
            axis.set_axis_off()
        names = {"kept": "keeps its answer\n(with 95 % interval)", "right": "is answered rightly"}
        handles, keys = axes[0].get_legend_handles_labels()
        axes[len(curves)].legend(handles, [names[key] for key in keys], loc="center", fontsize=TYPE, frameon=False)
    return figure


def pictures_figure(
    curves: Sequence[Curves], images: Tensor, chosen: Sequence[int], classes: tuple[str, ...], title: str
) -> Figure:
    """Return a row per picture: itself with its answer, and a curve of that answer's probability for each change.

    Args:
        curves: Of all pictures.
        images: uint8, N C H W.
        chosen: Places of the pictures to show.
        classes: Names.
        title: Over all.
    """
    first = PICTURE + 0.42
    width = first + len(curves) * SMALL_PANEL[0] + 0.2
    row_height, head = SMALL_PANEL[1] + 0.42, 0.65
    height = head + row_height * len(chosen)
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=DPI)
        lines = "\n".join(wrapped(title, width - 0.3, 11, 1))
        figure.text(0.5, 1 - 0.1 / height, lines, ha="center", va="top", fontsize=11, parse_math=False)
        for row, place in enumerate(chosen):
            top = head + row * row_height
            _draw_picture(figure, images[place], (0.15, top), (width, height), answered(curves, place, classes))
            for column, one in enumerate(curves):
                left = first + column * SMALL_PANEL[0] + 0.12
                box = (left / width, 1 - (top + SMALL_PANEL[1]) / height)
                axis = figure.add_axes((*box, (SMALL_PANEL[0] - 0.2) / width, SMALL_PANEL[1] / height))
                _draw_curve(axis, one, place)
                axis.set_yticks([0, 0.5, 1], [] if column else ["0", "½", "1"])
                if row == 0:
                    axis.set_title("\n".join(wrapped(one.change.name, SMALL_PANEL[0], 8, 2)), fontsize=8)
    return figure


def answered(curves: Sequence[Curves], place: int, classes: tuple[str, ...]) -> tuple[str, str]:
    """Return what is said of an unchanged picture, and how sure."""
    one = curves[0]
    middle = one.change.strengths.index(one.change.neutral)
    (text,) = label_texts(one.answers[middle, place][None], classes)
    return text or NO_CLASS, f"{100 * float(one.probability[middle, place]):.0f} %"


def _draw_picture(
    figure: Figure, image: Tensor, corner: tuple[float, float], size: tuple[float, float], said: tuple[str, str]
) -> None:
    """Draw a picture with its answer and probability; places and sizes in inches from the upper left corner."""
    (left, top), (width, height) = corner, size
    pixels = thumbnails(image[None], round(PICTURE * DPI))[0]
    high, wide = pixels.shape[0] / max(pixels.shape[:2]) * PICTURE, pixels.shape[1] / max(pixels.shape[:2]) * PICTURE
    beside = left + (PICTURE - wide) / 2
    axis = figure.add_axes((beside / width, 1 - (top + high) / height, wide / width, high / height))
    axis.imshow(pixels, interpolation="nearest", aspect="auto")
    axis.set_axis_off()
    for number, line in enumerate([*wrapped(said[0], PICTURE + 0.2, 7, 1), said[1]]):
        y = 1 - (top + high + 0.04 + 0.13 * number) / height
        figure.text((left + PICTURE / 2) / width, y, line, ha="center", va="top", fontsize=7, parse_math=False)


def _draw_curve(axis: Axes, one: Curves, place: int) -> None:
    strengths, heights, kept = torch.tensor(one.change.strengths), one.probability[:, place], one.kept[:, place]
    _scale(axis, one.change)
    axis.plot(strengths, heights, color=BLUE, linewidth=1.2, zorder=2)
    axis.plot(strengths[kept], heights[kept], "o", color=BLUE, markersize=2.6, zorder=3)
    axis.plot(strengths[~kept], heights[~kept], "X", color=ORANGE, markersize=4.2, zorder=3, markeredgewidth=0)
    axis.set_ylim(-0.06, 1.06)
    axis.tick_params(labelsize=7, pad=1.5, length=2)


def _scale(axis: Axes, change: Change) -> None:
    """Set the axis of strengths: factors by their logarithm, ticks at its ends and where nothing changes."""
    if change.neutral == 1:
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    ticks = sorted({change.strengths[0], change.neutral, change.strengths[-1]})
    axis.set_xticks(ticks, [f"{tick:.3g}".replace("-", "−") for tick in ticks])
    axis.axvline(change.neutral, color="0.75", linewidth=0.7, zorder=1)
    axis.spines[["top", "right"]].set_visible(False)


def _headed(change: Change) -> str:
    unit = change.unit.strip()
    return f"{change.name} ({unit})" if unit else f"{change.name} (of 255)"
