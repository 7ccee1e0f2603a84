"""How the last hidden layer's view of pictures moved while a network learned: panels, and a moving picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from striate.explain.lettering import families, text_width, wrapped
from striate.runs.snapshots import Snapshots

PANELS = 6  # shown
LEAST_TOLD = 50  # pictures from which shares of neighbours are more than chance's play
NEIGHBOURS = 5
# Okabe and Ito 2008; a class is a colour and, beyond the eighth, a mark
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
MARKS = ("o", "s", "^")
CLOSE = 0.2  # share of a panel's sides within which points are too close together to be told apart
BETWEEN, HOLD = 5, 10  # frames from one snapshot to the next, and of the last
MILLISECONDS = 80


def percent(share: float) -> str:
    """Return a share as '41 %'."""
    return f"{100 * share:.0f} %"


def neighbour_share(features: Tensor, labels: Tensor, count: int = NEIGHBOURS) -> float:
    """Return the share of same-class pictures among each picture's nearest, by Euclidean distance.

    Args:
        features: P F.
        labels: int64 P; or bool P K, where pictures of an equal set of classes count as the same.
        count: Neighbours of each picture, as many as there are at most.
    """
    count = min(count, len(features) - 1)
    if count < 1:
        return math.nan
    distances = torch.cdist(features.double(), features.double())
    distances.fill_diagonal_(math.inf)
    nearest = distances.topk(count, largest=False).indices  # P count
    same = labels[nearest] == labels[:, None]
    return float((same.all(-1) if labels.ndim == 2 else same).double().mean())


def project(features: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Return features of several moments, P F each, on the first two principal components of the last: P 2 each.

    The components are fitted once, so that what moves is the features; each points to where its largest weight is
    positive.
    """
    last = features[-1].double()
    mean = last.mean(0)
    _, _, directions = torch.linalg.svd(last - mean, full_matrices=False)
    directions = torch.nn.functional.pad(directions[:2], (0, 0, 0, max(0, 2 - len(directions))))  # 2 F
    places = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, places).sign()
    return [((values.double() - mean) @ directions.mT).numpy() for values in features]


def embedding_strip(snapshots: Snapshots, classes: Sequence[str], panels: int = PANELS) -> Figure:
    """Return the pictures in the last hidden layer at several moments, on one projection.

    Over each panel stands the share of neighbours of the same class, of 50 pictures or more.

    Args:
        snapshots: Of two moments or more.
        classes: Names in label order.
        panels: Moments to show at most, the first and the last included.
    """
    named = snapshots.named()
    features = [moment.features.float() for moment in named.values()]
    points = project(features)
    count = min(panels, len(points))
    shown = [round(number * (len(points) - 1) / (count - 1)) for number in range(count)]
    rows = math.ceil(count / 3)
    columns = math.ceil(count / rows)
    groups = _groups(snapshots.labels, classes)
    side = 2.15
    width = max(columns * side + 0.3, 4.6)
    height = rows * (side + 0.32) + 0.55 + 0.2 * math.ceil(len(groups) / _legend_columns(groups, width))
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        figure.suptitle(
            "\n".join(wrapped("The last hidden layer while the network learned", width - 0.2, 11, 2)), fontsize=11
        )
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        limits = _limits([points[number] for number in shown])
        for axis, number in zip(axes, shown, strict=False):
            title = list(named)[number]
            if len(snapshots.pictures) >= LEAST_TOLD:
                title += f": {percent(neighbour_share(features[number], snapshots.labels))} same class"
            axis.set_title(title, fontsize=8.5)
            _scatter(axis, points[number], groups)
            axis.set(xlim=limits[0], ylim=limits[1], xticks=[], yticks=[])
            _enlarge(axis, points[number], groups, limits)
        for axis in axes[count:]:
            axis.set_axis_off()
        _legend(figure, groups)
    return figure


@dataclass(frozen=True, eq=False)
class _Group:
    """Pictures that are drawn alike: a class, or all others."""

    name: str
    members: NDArray[np.bool_]
    colour: str
    mark: str


Limits = tuple[tuple[float, float], tuple[float, float]]


def _groups(labels: Tensor, classes: Sequence[str]) -> list[_Group]:
    """Return the classes as they are drawn; of more than 24, and of sets of classes, the most frequent."""
    flags = labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels, len(classes)).bool()
    room = len(COLOURS) * len(MARKS)
    order = flags.sum(0).argsort(descending=True, stable=True)[:room]
    chosen = sorted(label for label in order.tolist() if bool(flags[:, label].any()))
    first = flags[:, chosen].int().argmax(1) if chosen else torch.zeros(len(flags))  # of several, the first
    some = flags[:, chosen].any(1)
    groups = [
        _Group(classes[label], (some & (first == place)).numpy(), COLOURS[place % len(COLOURS)], MARKS[place // 8])
        for place, label in enumerate(chosen)
    ]
    if not bool(some.all()):
        groups.append(_Group("others", (~some).numpy(), "0.75", "x"))
    return groups


def _limits(points: Sequence[NDArray[np.float64]]) -> Limits:
    """Return the range of both axes, in which all but a few outliers of the panels lie."""
    both = np.concatenate(points)
    low, high = np.percentile(both, [0.5, 99.5], axis=0)
    room = 0.08 * np.maximum(high - low, 1e-9)
    (left, bottom), (right, top) = low - room, high + room
    return (float(left), float(right)), (float(bottom), float(top))


def _scatter(axis: Axes, points: NDArray[np.float64], groups: Sequence[_Group]) -> None:
    for group in groups:
        x, y = points[group.members].T
        edge = None if group.mark == "x" else "0.25"
        axis.scatter(x, y, s=17, c=group.colour, marker=group.mark, linewidths=0.4, edgecolors=edge)
    axis.spines[:].set_color("0.75")


def _enlarge(axis: Axes, points: NDArray[np.float64], groups: Sequence[_Group], limits: Limits) -> None:
    """Draw points that lie too close together to be told apart once more, larger, in the corner farthest from them."""
    own = _limits([points])
    (left, right), (bottom, top) = limits
    shares = [(high - low) / (b - a) for (low, high), (a, b) in zip(own, limits, strict=True)]
    if max(shares) > CLOSE:
        return
    x, y = np.median(points, axis=0)
    right_of, above = x < (left + right) / 2, y < (bottom + top) / 2
    inset = axis.inset_axes((0.42 if right_of else 0.02, 0.42 if above else 0.02, 0.56, 0.56))
    _scatter(inset, points, groups)
    inset.set(xlim=own[0], ylim=own[1], xticks=[], yticks=[])
    inset.text(0.03, 0.97, f"×{0.56 / max(max(shares), 1e-6):,.0f}", transform=inset.transAxes, va="top", fontsize=7.5)


def _legend(figure: Figure, groups: Sequence[_Group]) -> None:
    marks = [
        Line2D([], [], linestyle="none", marker=g.mark, markersize=5, color=g.colour, markeredgecolor="0.25")
        for g in groups
    ]
    legend = figure.legend(
        marks,
        [str(number) for number in range(len(groups))],
        loc="outside lower center",
        ncols=_legend_columns(groups, figure.get_figwidth()),
        fontsize=7.5,
        frameon=False,
        handletextpad=0.2,
        columnspacing=0.9,
    )
    # set afterwards: a legend leaves out texts that begin with '_', and would read '$' as a formula
    for text, group in zip(legend.get_texts(), groups, strict=True):
        text.set_parse_math(False)
        text.set_text(_short_name(group))


def _short_name(group: _Group) -> str:
    return wrapped(group.name, 1.4, 7.5, 1)[0]


def _legend_columns(groups: Sequence[_Group], width: float) -> int:
    """Return how many names stand side by side in so many inches."""
    widest = max(text_width(_short_name(group), 7.5) for group in groups) + 0.38
    return max(1, min(8, len(groups), int((width - 0.2) / widest)))


def embedding_gif(snapshots: Snapshots, classes: Sequence[str]) -> bytes:
    """Return the last hidden layer's view of the pictures as a moving picture (GIF) that runs through the moments.

    Between two moments the pictures go straight from one place to the next.
    """
    named = snapshots.named()
    points = project([moment.features.float() for moment in named.values()])
    groups = _groups(snapshots.labels, classes)
    limits = _limits(points)
    frames = []
    with rc_context({"font.family": families()}):
        foot = 0.2 * math.ceil(len(groups) / _legend_columns(groups, 4.2))
        figure = Figure(figsize=(4.2, 4.4 + foot), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axis = figure.subplots()
        _scatter(axis, points[0], groups)
        axis.set(xlim=limits[0], ylim=limits[1], xticks=[], yticks=[])
        _legend(figure, groups)
        for name, place in _path(list(named), points):
            axis.set_title(f"The last hidden layer: {name}", fontsize=10)
            for group, drawn in zip(groups, axis.collections, strict=True):
                drawn.set_offsets(place[group.members])
            canvas.draw()  # type: ignore[no-untyped-call]
            pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]
            frames.append(Image.fromarray(pixels))
    palette = frames[-1].quantize(64, dither=Image.Dither.NONE)  # one for all: each frame has the classes' colours
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in [*frames, *[frames[-1]] * HOLD]]
    file = io.BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    return file.getvalue()


def _path(names: Sequence[str], points: Sequence[NDArray[np.float64]]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return the frames: each moment, and the steps from it to the next."""
    frames = [
        (name, before + step / BETWEEN * (after - before))
        for name, (before, after) in zip(names, pairwise(points), strict=False)
        for step in range(BETWEEN)
    ]
    return [*frames, (names[-1], points[-1])]
