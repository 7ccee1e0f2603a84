"""How runs learned: curves, the gap between training and validation, speed. Chapter `learning`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from pydantic import JsonValue

from striate.core.duration import duration
from striate.core.errors import SettingsError
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.curves import COLOURS, Curve, best_epoch, curves_figure, read_curves
from striate.explain.lettering import families, wrapped
from striate.explain.movement import movement_plates
from striate.explain.record.texts import not_kept
from striate.explain.subject import Subject
from striate.runs.snapshots import read_snapshots

WIDTH, HEIGHT = 7.0, 3.3  # inches
TYPE = 8
LEVELS = (0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
TABLE_ROWS = 40


def gap_figure(curves: Sequence[Curve]) -> Figure:
    """Return by how much training is ahead of validation, epoch by epoch: in accuracy and in loss.

    Above 0 the network does better on what it is trained on. Training figures are means over an epoch on augmented
    pictures while the network changes, so the gap may well be below 0. A ring is the epoch of the best validation
    accuracy.
    """
    with rc_context({"font.family": families()}):
        figure, axes = _panels(
            "How far training is ahead of validation", ("accuracy, in points", "loss, validation less training")
        )
        for curve, colour in zip(curves, COLOURS, strict=False):
            measured = [line for line in curve.metrics if line["val_accuracy"] is not None]
            epochs = [line["epoch"] for line in measured]
            best = best_epoch(curve.metrics)
            gaps = (
                [100 * (line["train_accuracy"] - line["val_accuracy"]) for line in measured],
                [line["val_loss"] - line["train_loss"] for line in measured],
            )
            for axis, values in zip(axes, gaps, strict=True):
                _line(axis, epochs, values, colour)
                if best is not None:
                    _ring(axis, best.epoch, values[epochs.index(best.epoch)], colour)
        for axis in axes:
            axis.axhline(0, color="0.35", linewidth=0.8, zorder=1)
        _names(figure, curves, "best validation accuracy")
    return figure


def speed_figure(curves: Sequence[Curve]) -> Figure:
    """Return how fast runs were: pictures trained per second in each epoch, and accuracy against the time used."""
    with rc_context({"font.family": families()}):
        figure, axes = _panels("Speed", ("training pictures per second", "validation accuracy"))
        for curve, colour in zip(curves, COLOURS, strict=False):
            times = list(accumulate(line["seconds"] for line in curve.metrics))
            key = "train_accuracy" if best_epoch(curve.metrics) is None else "val_accuracy"
            measured = [(time, line) for time, line in zip(times, curve.metrics, strict=True) if line[key] is not None]
            trained = [line for line in curve.metrics if line["epoch"] > 0]
            _line(axes[0], [e["epoch"] for e in trained], [e["images_per_second"] for e in trained], colour)
            _line(axes[1], [time for time, _ in measured], [line[key] for _, line in measured], colour)
            best = best_epoch(curve.metrics)
            for time, line in measured:
                if best is not None and line["epoch"] == best.epoch:
                    _ring(axes[1], time, line[key], colour)
        axes[0].set_ylim(bottom=0)
        axes[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes[1].set_xlabel("seconds of its epochs", fontsize=TYPE)
        axes[1].set_xlim(left=0)
        axes[1].xaxis.set_major_locator(MaxNLocator("auto"))
        if all(best_epoch(curve.metrics) is None for curve in curves):
            axes[1].set_title("training accuracy", fontsize=9, loc="left")
        _names(figure, curves, "best validation accuracy")
    return figure


def _panels(title: str, heads: tuple[str, str]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = list(figure.subplots(1, 2))
    for axis, head in zip(axes, heads, strict=True):
        axis.set_title(head, fontsize=9, loc="left")
        axis.set_xlabel("epoch", fontsize=TYPE)
        axis.tick_params(labelsize=TYPE)
        axis.grid(color="0.9", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _line(axis: Axes, across: Sequence[float], up: Sequence[float], colour: str) -> None:
    finite = [value if math.isfinite(value) else math.nan for value in up]
    marker = {"marker": "o", "markersize": 3} if len(across) <= 40 else {}
    axis.plot(across, finite, color=colour, linewidth=1.3, **marker)  # type: ignore[arg-type]


def _ring(axis: Axes, x: float, y: float, colour: str) -> None:
    axis.plot(x, y, "o", markersize=8, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.3, zorder=4)


def _names(figure: Figure, curves: Sequence[Curve], ring: str) -> None:
    lines, texts = [], []
    if len(curves) > 1:
        lines = [Line2D([], [], color=colour, linewidth=3) for colour in COLOURS[: len(curves)]]
        texts = ["\n".join(wrapped(curve.name, 2.4, TYPE, 2)) for curve in curves]
    if any(best_epoch(curve.metrics) for curve in curves):
        style = {"linestyle": "none", "marker": "o", "markerfacecolor": "none", "markeredgecolor": "0.3"}
        lines.append(Line2D([], [], markersize=8, markeredgewidth=1.3, **style))  # type: ignore[arg-type]
        texts.append(ring)
    if not lines:
        return
    legend = figure.legend(
        lines, [str(number) for number in range(len(lines))], loc="outside lower center", ncols=3, frameon=False
    )
    # set afterwards: a legend leaves out texts that begin with '_', and would read '$' as a formula
    for text, words in zip(legend.get_texts(), texts, strict=True):
        text.set_parse_math(False)
        text.set_text(words)
        text.set_fontsize(TYPE)


def told(curve: Curve) -> list[str]:
    """Return what a curve says, a sentence each: how long, the best epoch, the gap at the end, the speed."""
    last, best = curve.metrics[-1], best_epoch(curve.metrics)
    epochs = "1 epoch" if last["epoch"] == 1 else f"{last['epoch']} epochs"
    sentences = [f"{epochs} of {last['step']:,} mini-batches in all took {duration(curve.seconds)}."]
    if best is not None:
        accuracy = next(line["val_accuracy"] for line in curve.metrics if line["epoch"] == best.epoch)
        when = f"epoch {best.epoch}" if best.epoch else "the head, before fine-tuning"
        sentences.append(f"The best validation accuracy, {accuracy:.4f}, was that of {when}.")
    if last["val_accuracy"] is not None and last["epoch"] > 0:
        gap = 100 * (last["train_accuracy"] - last["val_accuracy"])
        where = "ahead of" if gap >= 0 else "behind"
        sentences.append(f"At the end training was {abs(gap):.2f} points of accuracy {where} validation.")
    speeds = sorted(line["images_per_second"] for line in curve.metrics if line["epoch"] > 0)
    if speeds:
        sentences.append(f"In the middle epoch {speeds[len(speeds) // 2]:,.0f} pictures a second were trained on.")
    return sentences


def curve_table(curve: Curve) -> Table:
    """Return the epochs as rows, evenly spread where there are more than 40."""
    lines = curve.metrics
    if len(lines) > TABLE_ROWS:
        lines = [lines[number * (len(lines) - 1) // (TABLE_ROWS - 1)] for number in range(TABLE_ROWS)]
    rows = [
        (
            str(line["epoch"]) if line["epoch"] else "head",
            f"{line['train_loss']:.4f}",
            f"{line['train_accuracy']:.4f}",
            "" if line["val_loss"] is None else f"{line['val_loss']:.4f}",
            "" if line["val_accuracy"] is None else f"{line['val_accuracy']:.4f}",
            f"{line['lr']:.3g}",
            f"{line['images_per_second']:,.0f}",
            duration(line["seconds"]),
        )
        for line in lines
    ]
    heads = ("epoch", "train loss", "train accuracy", "val loss", "val accuracy", "rate", "pictures/s", "time")
    return Table(heads, rows, "Epoch by epoch." if len(lines) == len(curve.metrics) else "Some of the epochs.")


@CHAPTERS.register("learning")
def chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return how the run learned: curves, gap, speed, and how filters and hidden layer moved.

    Raises:
        SettingsError: There is no run folder, or it knows of no epoch.
        ModelFileError: Its metrics are damaged.
    """
    name, title = "learning", "How it learned"
    if subject.run is None:
        raise SettingsError(
            "a model file alone does not say how it was trained", where=name, fix="name the run folder in its place"
        )
    (curve,) = read_curves([subject.run.path])
    trained = [line for line in curve.metrics if line["epoch"] > 0]
    if not trained:
        seconds = duration(curve.seconds)
        text = [f"Its last layer was fitted to frozen features in {seconds}, at once: there are no epochs to draw."]
        return Chapter(name, title, text, tables=[curve_table(curve)])
    best = best_epoch(curve.metrics)
    text = [" ".join(told(curve)), *not_kept(subject.run)]
    plates = _plates(curve) if len(trained) > 1 else []
    if not plates:
        text.append("A curve takes two epochs or more.")
    snapshots = read_snapshots(subject.run.path)
    files: dict[str, bytes] = {}
    values: Mapping[str, JsonValue] = {}
    if snapshots is not None and len(snapshots.named()) > 1:
        moved = movement_plates(snapshots, subject.classes, effort)
        plates += moved.plates
        files, values = moved.files, moved.values
        text += moved.text
    else:
        text.append("How filters and hidden layer moved was not kept: that takes several epochs and enough pictures.")
    return Chapter(
        name,
        title,
        text,
        plates,
        [curve_table(curve)],
        values={
            "epochs": curve.metrics[-1]["epoch"],
            "steps": curve.metrics[-1]["step"],
            "seconds": round(curve.seconds, 3),
            "best_epoch": None if best is None else best.epoch,
            "movement": dict(values) or None,
        },
        files=files,
    )


def _plates(curve: Curve) -> list[Plate]:
    plates = [
        Plate(
            "learning-curves",
            curves_figure([curve], _level(curve)),
            "Loss, accuracy and learning rate at the end of each epoch. Training figures are means over the epoch, on "
            "augmented pictures while the network changes; validation is measured after it.",
            "Learning curves. " + " ".join(told(curve)),
        ),
        Plate(
            "learning-speed",
            speed_figure([curve]),
            "Left, how many pictures were trained on per second, validation not counted; right, what accuracy "
            "the time bought.",
            "Pictures per second in each epoch, and accuracy against time.",
        ),
    ]
    if best_epoch(curve.metrics) is not None:
        gap = Plate(
            "learning-gap",
            gap_figure([curve]),
            "Above 0 the network does better on the pictures it is trained on than on those it has not seen. A gap "
            "that keeps growing while validation stands still is overfitting; below 0, augmentation makes "
            "training the harder of the two.",
            "The gap between training and validation, epoch by epoch.",
        )
        plates.insert(1, gap)
    return plates


def _level(curve: Curve) -> float:
    """Return the highest round accuracy that the run reached, to mark where it did."""
    reached = [line[key] for line in curve.metrics for key in ("train_accuracy", "val_accuracy")]
    best = max((value for value in reached if value is not None), default=0.0)
    return next((level for level in LEVELS if level <= best), LEVELS[-1])
