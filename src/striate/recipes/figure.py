"""The reproduction as one figure: published, as the document means it, and ours, with intervals and times."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from striate.recipes.result import REHEARSAL, Row

DOCUMENT, OURS, PUBLISHED = "#0072B2", "#D55E00", "#000000"  # Okabe and Ito's palette


def reproduction_figure(rows: Sequence[Row]) -> Figure:
    """Return accuracy (left) and training time (right, logarithmic) of each recipe, one line each."""
    figure = Figure(figsize=(9, 0.42 * len(rows) + 1.5), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for place, row in enumerate(rows):
        for outcome, colour, offset, marker in ((row.document, DOCUMENT, -0.14, "o"), (row.ours, OURS, 0.14, "s")):
            low, high = outcome.interval
            left.plot([low, high], [place + offset] * 2, color=colour, linewidth=1.5)
            left.plot(outcome.accuracy, place + offset, marker, color=colour, markersize=5)
            right.plot(outcome.seconds, place + offset, marker, color=colour, markersize=5)
        right.plot([row.ours.seconds, row.document.seconds], [place] * 2, color="0.8", linewidth=1, zorder=0)
        if row.published is not None:
            left.plot(row.published, place, "D", markersize=6, markerfacecolor="none", markeredgecolor=PUBLISHED)
    left.set_yticks(range(len(rows)), [row.recipe for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlabel("test accuracy, 95 % interval")
    if any(row.quick for row in rows):
        figure.suptitle(f"{REHEARSAL}: the figures mean nothing", fontsize=9, color="0.4")
    right.set_xlabel("training time in seconds")
    right.set_xscale("log")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    right.xaxis.set_minor_formatter(NullFormatter())
    for axis in (left, right):
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    handles = [
        left.plot([], [], "D", markerfacecolor="none", markeredgecolor=PUBLISHED, label="published")[0],
        left.plot([], [], "o-", color=DOCUMENT, label="as the document means it, here")[0],
        left.plot([], [], "s-", color=OURS, label="ours, here")[0],
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    return figure
