"""Learning curves: how soon runs reached an accuracy, in numbers and as one figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter

from striate.core.errors import ModelFileError, SettingsError
from striate.core.paths import tell_apart
from striate.explain.lettering import families, printable, wrapped
from striate.runs.ending import read_ending
from striate.runs.folder import Run
from striate.runs.metrics import NAME as METRICS

Metrics = Sequence[Mapping[str, Any]]  # the lines of metrics.jsonl, one per epoch (training/loop.EpochResult)
Accuracy = Literal["train_accuracy", "val_accuracy"]
ACCURACIES: tuple[Accuracy, ...] = ("train_accuracy", "val_accuracy")

NEEDED = ("epoch", "step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
# Okabe and Ito 2008, without the yellow, which is too pale for lines on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
STYLES = {"train": "--", "val": "-"}
WIDTH, PANELS, LEGEND_LINE = 7.0, (2.3, 2.3, 0.9), 0.17  # inches
TYPE = 8  # points
FEW = 40  # epochs up to which each is a dot
DIAMOND: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 6.5,
    "markerfacecolor": "none",
    "markeredgewidth": 1.2,
    "zorder": 4,
}
STAR: dict[str, Any] = {
    "linestyle": "none",
    "marker": "*",
    "markersize": 9,
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "zorder": 5,
}
LEAVE = "leave this run out"
FAR = 30  # times the smallest, from which a logarithmic scale shows more


@dataclass(frozen=True)
class Point:
    """The end of an epoch.

    Args:
        epoch: From 1.
        step: Mini-batches done since the beginning of the run.
    """

    epoch: int
    step: int


@dataclass(frozen=True)
class Curve:
    """What a run has come to so far.

    Args:
        path: Its folder.
        name: What tells it apart from the other runs.
        data: What tells its data apart from the other runs' data.
        epochs: How many it is meant to have.
        metrics: A line per epoch that is done.
    """

    path: Path
    name: str
    data: str
    epochs: int
    metrics: Metrics

    @property
    def seconds(self) -> float:
        """Time of its epochs."""
        return sum(float(line["seconds"]) for line in self.metrics)


def steps_to(metrics: Metrics, accuracy: float, key: Accuracy = "val_accuracy") -> Point | None:
    """Return the end of the first epoch whose accuracy is `accuracy` (0 … 1) or more; None where none is.

    A training accuracy is the mean over its epoch, as the network changes and the pictures are augmented.
    """
    for line in metrics:
        if line[key] is not None and line[key] >= accuracy:
            return Point(line["epoch"], line["step"])
    return None


def best_epoch(metrics: Metrics) -> Point | None:
    """Return the end of the epoch of the highest validation accuracy, the first of equals; None without validation."""
    measured = [line for line in metrics if line["val_accuracy"] is not None]
    best = max(measured, key=lambda line: float(line["val_accuracy"]), default=None)
    return None if best is None else Point(best["epoch"], best["step"])


def read_curves(paths: Iterable[Path]) -> list[Curve]:
    """Return the curves of run folders, finished or not, in the order given; a folder given twice is read once.

    Raises:
        SettingsError: One is no run folder, or none of its epochs is done yet.
        ModelFileError: Its files are damaged.
    """
    runs = [Run.open(path) for path in {path.resolve(): path for path in paths}.values()]
    metrics = [run.metrics() for run in runs]
    for run, lines in zip(runs, metrics, strict=True):
        if not lines and any(text.strip() for text in _texts(run)):
            raise ModelFileError("metrics.jsonl is damaged: none of its lines can be read", where=run.path, fix=LEAVE)
        if not lines:
            raise SettingsError("no epoch of this run is done yet", where=run.path, fix="wait for one, or leave it out")
        if missing := [key for key in NEEDED if any(key not in line for line in lines)]:
            raise ModelFileError(
                f"metrics.jsonl is damaged or of another version (no {', '.join(missing)})",
                where=run.path,
                fix=LEAVE,
            )
    names = tell_apart([run.path.resolve() for run in runs])
    data = tell_apart([Path(run.config.data) for run in runs])
    return [
        Curve(run.path, name, source, _epochs(run), lines)
        for run, name, source, lines in zip(runs, names, data, metrics, strict=True)
    ]


def _texts(run: Run) -> list[bytes]:
    file = run.path / METRICS
    return file.read_bytes().splitlines() if file.exists() else []


def _epochs(run: Run) -> int:
    """Return the epochs it had where time or a target ended it; else those that were set, or seemed to fit at first."""
    ending, costs = read_ending(run.path), run.config.costs
    if ending and ending.ended in ("time", "target"):
        return ending.epochs
    return run.config.settings.epochs or 0 if costs is None else math.ceil(costs.epochs)


def curves_figure(curves: Sequence[Curve], accuracy: float = 0.9) -> Figure:
    """Return loss, accuracy and learning rate of runs against mini-batches, drawn over each other.

    Colour tells the run, line style training from validation. A star is the epoch of the best validation
    accuracy, a diamond the first epoch at `accuracy` or more, where a grey line is drawn if one gets there.

    Raises:
        SettingsError: More runs than colours that everybody can tell apart.
    """
    if len(curves) > len(COLOURS):
        raise SettingsError(
            f"a figure tells {len(COLOURS)} runs apart, not {len(curves)}", where="--figure", fix="draw fewer at a time"
        )
    sources = list(dict.fromkeys(curve.data for curve in curves))
    labels = _labels(curves, accuracy, with_data=len(sources) > 1)
    title = "Learning curves" if len(sources) > 1 else f"Learning curves on {printable(sources[0])}"
    rows = max(sum(text.count("\n") + 1 for _, text in column) for column in labels)
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(WIDTH, sum(PANELS) + 1.4 + LEGEND_LINE * rows), dpi=150, layout="constrained")
        figure.suptitle("\n".join(wrapped(title, WIDTH - 0.6, 11, 2)), fontsize=11, parse_math=False)
        losses, accuracies, rates = figure.subplots(3, sharex=True, height_ratios=PANELS)
        for curve, colour in zip(curves, COLOURS, strict=False):
            _draw(curve, colour, losses, "loss")
            _draw(curve, colour, accuracies, "accuracy")
            for key in ACCURACIES:
                _mark(steps_to(curve.metrics, accuracy, key), curve, colour, accuracies, key, DIAMOND)
            best = best_epoch(curve.metrics)
            _mark(best, curve, colour, losses, "val_loss", STAR)
            _mark(best, curve, colour, accuracies, "val_accuracy", STAR)
            rates.plot(_steps(curve), _values(curve, "lr"), color=colour, linewidth=1.2, **_dots(curve, filled=True))
        _finish(losses, "Loss", logarithmic=_far_apart(v for c in curves for v in _all_losses(c)))
        _finish(accuracies, "Accuracy")
        _finish(rates, "Learning rate", logarithmic=_far_apart(max(_values(c, "lr")) for c in curves))
        if _is_reached(curves, accuracy):
            _draw_level(accuracies, accuracy)
        rates.set_xlabel("mini-batches", fontsize=TYPE)
        rates.set_xlim(left=0)
        rates.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        rates.xaxis.get_major_locator().set_params(integer=True)
        _legend(figure, labels)
    return figure


def _is_reached(curves: Sequence[Curve], accuracy: float) -> bool:
    return any(steps_to(curve.metrics, accuracy, key) for curve in curves for key in ACCURACIES)


def _draw_level(axis: Axes, accuracy: float) -> None:
    axis.axhline(accuracy, color="0.35", linewidth=0.7, zorder=1)
    axis.annotate(
        f"{accuracy:g}",
        (1, accuracy),
        xycoords=axis.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=TYPE,
        annotation_clip=False,
    )


def _steps(curve: Curve) -> list[int]:
    return [line["step"] for line in curve.metrics]


def _values(curve: Curve, key: str) -> list[float]:
    """Return a column of the metrics, with NaN, which is not drawn, for what is not there or not finite."""
    values = [math.nan if line[key] is None else float(line[key]) for line in curve.metrics]
    return [value if math.isfinite(value) else math.nan for value in values]


def _all_losses(curve: Curve) -> list[float]:
    return [*_values(curve, "train_loss"), *_values(curve, "val_loss")]


def _far_apart(values: Iterable[float]) -> bool:
    """Return whether positive values differ so much that the smaller ones would lie on a linear axis's edge."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > FAR * min(positive)


def _dots(curve: Curve, filled: bool) -> dict[str, Any]:
    if len(curve.metrics) > FEW:
        return {}
    return {"marker": "o", "markersize": 2.8, "markerfacecolor": None if filled else "white"}


def _draw(curve: Curve, colour: str, axis: Axes, figure: str) -> None:
    """Draw a training and a validation line; nothing for a validation that is not there."""
    for part, style in STYLES.items():
        values = _values(curve, f"{part}_{figure}")
        if not all(math.isnan(value) for value in values):
            dots = _dots(curve, filled=part == "val")
            axis.plot(_steps(curve), values, style, color=colour, linewidth=1.2, label=f"{part} {curve.name}", **dots)


def _mark(point: Point | None, curve: Curve, colour: str, axis: Axes, key: str, marker: Mapping[str, Any]) -> None:
    if point is not None:
        value = _values(curve, key)[_steps(curve).index(point.step)]
        axis.plot(point.step, value, color=colour, **marker)


def _finish(axis: Axes, title: str, logarithmic: bool = False) -> None:
    axis.set_title(title, fontsize=9, loc="left")
    axis.tick_params(labelsize=TYPE)
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if logarithmic:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _labels(curves: Sequence[Curve], accuracy: float, with_data: bool) -> list[list[tuple[Line2D, str]]]:
    """Return the legend's columns: the runs, and what lines and marks mean."""
    runs = [
        (
            Line2D([], [], color=colour, linewidth=3),
            "\n".join(wrapped(f"{curve.name} on {curve.data}" if with_data else curve.name, 3.2, TYPE, 3)),
        )
        for curve, colour in zip(curves, COLOURS, strict=False)
    ]
    grey: dict[str, Any] = {"color": "0.4", "linewidth": 1.2, "marker": "o", "markersize": 2.8}
    marks = [(Line2D([], [], linestyle="--", markerfacecolor="white", **grey), "training, mean of the epoch")]
    if any(best_epoch(curve.metrics) for curve in curves):
        marks.append((Line2D([], [], linestyle="-", **grey), "validation"))
        marks.append((Line2D([], [], color="0.7", **STAR), "best validation accuracy"))
    if _is_reached(curves, accuracy):
        marks.append((Line2D([], [], color="0.4", **DIAMOND), f"first epoch at {accuracy:g} or more (grey line)"))
    return [runs, marks]


def _legend(figure: Figure, columns: list[list[tuple[Line2D, str]]]) -> None:
    rows = max(map(len, columns))
    nothing = (Line2D([], [], linestyle="none"), "")
    cells = [cell for column in columns for cell in [*column, *[nothing] * (rows - len(column))]]
    legend = figure.legend(
        [line for line, _ in cells],
        [str(number) for number in range(len(cells))],
        loc="outside lower center",
        ncols=len(columns),
        fontsize=TYPE,
        frameon=False,
        handlelength=3,
    )
    # set afterwards: a legend leaves out texts that begin with '_', and would read '$' as a formula
    for text, (_, words) in zip(legend.get_texts(), cells, strict=True):
        text.set_parse_math(False)
        text.set_text(words)
