"""How the first filters and the last hidden layer moved while a network learned, from the snapshots of its run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import JsonValue
from torch import Tensor

from striate.explain.chapter import Effort, Plate
from striate.explain.hidden_movement import (
    LEAST_TOLD,
    NEIGHBOURS,
    embedding_gif,
    embedding_strip,
    neighbour_share,
    percent,
)
from striate.explain.lettering import families, wrapped
from striate.runs.snapshots import Snapshots

FILTERS = 10  # shown
CELL, GAP = 0.5, 0.05  # inches
UNMOVED = 1e-3  # of their length, below which filters have stayed where they were


@dataclass(frozen=True, eq=False)
class Movement:
    """What a chapter takes over: figures, sentences, values and moving pictures by file name."""

    plates: list[Plate]
    text: list[str]
    values: Mapping[str, JsonValue]
    files: dict[str, bytes]


def movement_plates(snapshots: Snapshots, classes: Sequence[str], effort: Effort) -> Movement:
    """Return how filters and hidden layer moved; moving pictures, too, where the effort is 'full'.

    Args:
        snapshots: Of two moments or more.
        classes: Names in label order.
        effort: How much time there is.
    """
    plates, text, files = [], [], {}
    names = list(snapshots.named())
    distances = filter_distance(snapshots)
    features = [moment.features.float() for moment in snapshots.named().values()]
    shares = [neighbour_share(values, snapshots.labels) for values in features]
    if distances and distances[-1] >= UNMOVED:
        text.append(
            f"From start to end the first filters that learn moved by {percent(distances[-1])} of their first length."
        )
        plates.append(
            Plate(
                "learning-filters",
                filter_strip(snapshots),
                "A row is one filter of the first layer that learns, from left to right as training went on, on one "
                "scale per row. Where the network begins with a whitening layer, which does not learn, they are the "
                "next layer's, as patterns of the pixels that they respond to.",
                f"{FILTERS} filters at {len(names)} moments of training.",
            )
        )
    else:
        text.append("The first layer's filters were not trained, so they have not moved.")
    count = len(snapshots.pictures)
    enough = count >= LEAST_TOLD
    if enough:
        text.append(
            f"Of the {NEIGHBOURS} nearest neighbours of a picture in the last hidden layer, {percent(shares[0])} were "
            f"of its class before training and {percent(shares[-1])} at the end, among {count} pictures."
        )
    else:
        text.append(
            f"The last hidden layer was kept of {count} pictures: too few to say how many neighbours are of one class."
        )
    told = (
        f"The share is that of neighbours of the same class among the {NEIGHBOURS} nearest, in all dimensions. "
        if enough
        else f"With fewer than {LEAST_TOLD} pictures, much of what is seen here is chance. "
    )
    plates.append(
        Plate(
            "learning-embedding",
            embedding_strip(snapshots, classes),
            f"The last hidden layer's view of the same {count} pictures as training went on, on the two directions in "
            "which they differ most at the end (one projection for all panels). "
            f"{told}What lies too close together is drawn once more, larger.",
            "; ".join(names)
            if not enough
            else "; ".join(
                f"{name}: {percent(share)} same-class neighbours" for name, share in zip(names, shares, strict=True)
            ),
        )
    )
    if effort == "full":
        files["learning-embedding.gif"] = embedding_gif(snapshots, classes)
    values: dict[str, JsonValue] = {
        "moments": list(names),
        "filter_distance": [round(distance, 4) for distance in distances],
        "neighbour_share": [None if math.isnan(share) else round(share, 4) for share in shares],
    }
    return Movement(plates, text, values, files)


def filter_distance(snapshots: Snapshots) -> list[float]:
    """Return how far the filters are from the first snapshot's at each moment, ‖w − w₀‖ / ‖w₀‖; empty without any."""
    filters = [moment.filters.double() for moment in snapshots.named().values()]
    if not filters or not filters[0].numel():
        return []
    size = float(filters[0].norm()) or 1.0
    return [float((values - filters[0]).norm()) / size for values in filters]


def filter_strip(snapshots: Snapshots, count: int = FILTERS) -> Figure:
    """Return filters as rows and the moments as columns: those that moved farthest, evenly chosen among the rest.

    Colour filters are shown in colour round grey, others as red (negative), white (0) and blue.
    """
    named = snapshots.named()
    filters = [moment.filters.float() for moment in named.values()]  # O C k k
    moved = (filters[-1] - filters[0]).flatten(1).norm(dim=1)
    order = moved.argsort(descending=True, stable=True)
    rows = order[torch.arange(min(count, len(order))) * len(order) // min(count, len(order))].tolist()
    columns = len(named)
    left, top = 0.62, 0.85
    width, height = left + columns * (CELL + GAP) + 0.15, top + len(rows) * (CELL + GAP) + 0.1
    width = max(width, 4.2)
    left = (width - columns * (CELL + GAP)) / 2 + 0.2
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=150)
        title = wrapped("First filters while the network learned", width - 0.3, 11, 2)
        figure.text(0.5, 1 - 0.12 / height, "\n".join(title), ha="center", va="top", fontsize=11)
        for number, channel in enumerate(rows):
            scale = max(float(values[channel].abs().max()) for values in filters) or 1.0
            y = height - top - (number + 1) * (CELL + GAP)
            figure.text(
                (left - 0.08) / width, (y + CELL / 2) / height, f"{channel}", ha="right", va="center", fontsize=8
            )
            for column, values in enumerate(filters):
                x = left + column * (CELL + GAP)
                axis = figure.add_axes((x / width, y / height, CELL / width, CELL / height))
                _draw_filter(axis, values[channel] / scale)
                if number == 0:
                    name = list(named)[column].replace("epoch ", "")
                    axis.set_title(name, fontsize=8, pad=3)
        between = any(name.startswith("epoch") for name in named)
        head = "after epoch" if between else ""
        figure.text((left + columns * (CELL + GAP) / 2) / width, 1 - 0.5 / height, head, ha="center", fontsize=8)
        figure.text((left - 0.08) / width, 1 - (top - 0.1) / height, "filter", ha="right", fontsize=8)
    return figure


def _draw_filter(axis: Axes, values: Tensor) -> None:
    """Draw a filter on -1 … 1, C k k."""
    if len(values) == 3:
        axis.imshow((values.permute(1, 2, 0).numpy() + 1) / 2, interpolation="nearest")
    else:  # one channel; of many their mean, which says where it looks
        axis.imshow(values.mean(0).numpy(), cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_color("0.7")
    axis.spines[:].set_linewidth(0.5)
