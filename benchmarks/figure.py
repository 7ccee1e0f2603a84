"""Accuracy over time as docs/images/accuracy-time.png: python -m benchmarks.figure, after benchmarks.course.

Every line has its name at its end, in its colour and with its mark, so that nothing has to be looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from benchmarks.contest import kept, say
from benchmarks.course import DATA, NO_OPTION, Point, end, typical
from striate.explain.drawing import save_figure

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "accuracy-time.png"
OURS = "Striate"
# colours of Okabe and Ito's palette, as in the figure of the recipes
LOOKS = {OURS: ("#D55E00", "s"), "document": ("#0072B2", "o"), "Keras": ("#009E73", "^"), "fastai": ("#CC79A7", "v")}
NAMES = {"document": "document's program"}
TICKS = {
    5: "5 s",
    10: "10 s",
    20: "20 s",
    30: "30 s",
    60: "1 min",
    120: "2 min",
    300: "5 min",
    600: "10 min",
    1200: "20 min",
}
WIDTH, HEIGHT = 8.0, 4.4  # inches: 100 pixels each where a page shows the figure 800 wide
TYPE = 9  # points
ROW = 0.055  # height of a name, of the axes' height
HALO = [withStroke(linewidth=2.5, foreground="white")]


def course_figure(courses: Mapping[str, Sequence[Point]], striate: Mapping[str, Point]) -> Figure:
    """Return test accuracy against the time since process start, which is logarithmic.

    Args:
        courses: Of each program, a point per epoch.
        striate: What its runs came to, by their time budget, or NO_OPTION.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=200, layout="constrained")
    axis = figure.subplots()
    budgets = sorted(point for setting, point in striate.items() if setting != NO_OPTION)
    lines = {
        name: list(points) for name, points in {**courses, OURS: budgets or list(striate.values())}.items() if points
    }
    _scale(axis, [*striate.values(), *(point for points in lines.values() for point in points)])
    for name, points in lines.items():
        colour, mark = LOOKS[name]
        size = 6 if name == OURS else 3.5
        axis.plot(*zip(*points, strict=True), marker=mark, markersize=size, color=colour, linewidth=1.4)
    for setting, point in striate.items():
        _tell_run(axis, setting, point)
    _tell_names(axis, {name: points[-1] for name, points in lines.items()})
    axis.set_title("Test accuracy on Fashion-MNIST", fontsize=TYPE + 1, loc="left")
    axis.set_xlabel(
        "time since process start (Striate: a whole run per time budget; the others: a point per epoch)",
        fontsize=TYPE,
    )
    return figure


def _scale(axis: Axes, points: Sequence[Point]) -> None:
    seconds, accuracies = zip(*points, strict=True)
    room = 0.06 * (max(accuracies) - min(accuracies)) + 0.002
    axis.set_xscale("log")
    axis.set_xlim(0.85 * min(seconds), 1.1 * max(seconds))
    axis.set_ylim(min(accuracies) - room, max(accuracies) + 2 * room)
    axis.xaxis.set_major_locator(FixedLocator(list(TICKS)))
    axis.xaxis.set_major_formatter(FixedFormatter(list(TICKS.values())))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(labelsize=TYPE)
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _tell_run(axis: Axes, setting: str, point: Point) -> None:
    """Write a time budget over its run; the run without one is hollow, and told below it."""
    colour, mark = LOOKS[OURS]
    place, side = (0, 6), "bottom"
    if setting == NO_OPTION:
        axis.plot(*point, mark, markersize=6, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=1.4)
        place, side = (4, -5), "top"
    axis.annotate(
        setting,
        point,
        place,
        textcoords="offset points",
        ha="center",
        va=side,
        fontsize=TYPE,
        color=colour,
        path_effects=HALO,
    )


def _tell_names(axis: Axes, ends: Mapping[str, Point]) -> None:
    """Write each line's name beside the axes, as high as the line ends, and lead from there to it."""
    low, high = axis.get_ylim()
    right, below = axis.get_xlim()[1], high
    for name, (seconds, accuracy) in sorted(ends.items(), key=lambda line: -line[1][1]):
        height = min(accuracy, below)
        below = height - ROW * (high - low)
        colour, _ = LOOKS[name]
        axis.plot([seconds, right], [accuracy, height], ":", color=colour, linewidth=0.9, zorder=1)
        axis.annotate(
            NAMES.get(name, name),
            (right, height),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=TYPE,
            color=colour,
            weight="bold",
            annotation_clip=False,
        )


def main() -> None:
    """Draw what is kept."""
    contest = kept("course", "full").get(DATA)
    if contest is None:
        say(f"{IMAGE.name} is left out: nothing is kept of python -m benchmarks.course")
        return
    striate = {setting: end(runs) for setting, runs in contest["striate"].items() if runs}
    save_figure(course_figure({name: typical(of_it) for name, of_it in contest["courses"].items()}, striate), IMAGE)


if __name__ == "__main__":
    main()
