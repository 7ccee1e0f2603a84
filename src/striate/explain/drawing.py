"""Figures for people: plain axes, legible type, colours that a colour-blind reader can tell apart."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from striate.explain.lettering import wrapped
from striate.runs.atomic import replace_file

MAX_TITLE = 18


def to_array(picture: Tensor) -> NDArray[np.uint8]:
    """Return a picture C H W on 0 … 255 as uint8 H W C, or H W where it is grey."""
    array: NDArray[np.uint8] = picture.round().clamp(0, 255).byte().cpu().permute(1, 2, 0).numpy()
    return array[:, :, 0] if array.shape[2] == 1 else array


def picture_grid(rows: Sequence[Sequence[Tensor]], titles: Sequence[str], labels: Sequence[str], title: str) -> Figure:
    """Return a grid of pictures.

    Args:
        rows: Rows of pictures, each C H W on 0 … 255.
        titles: One over each column; long names are shortened.
        labels: One at the left of each row.
        title: Over the whole.
    """
    columns = max(len(row) for row in rows)
    width = 1.1 * columns + 1.3
    figure = Figure(figsize=(width, 1.1 * len(rows) + 0.9), dpi=150, layout="constrained")
    figure.suptitle(_literal("\n".join(wrapped(title, width - 0.2, 11, 3))), fontsize=11)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, label, line in zip(rows, labels, axes, strict=True):
        for axis in line:
            axis.set_axis_off()
        for picture, axis in zip(row, line, strict=False):
            axis.imshow(to_array(picture), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        line[0].text(-0.15, 0.5, _literal(label), transform=line[0].transAxes, ha="right", va="center", fontsize=8)
    for text, axis in zip(titles, axes[0], strict=False):
        axis.set_title(_literal(text if len(text) <= MAX_TITLE else f"{text[: MAX_TITLE - 1]}…"), fontsize=8)
    return figure


def _literal(text: str) -> str:
    """Return text that matplotlib shows as it is: '$' would start a formula."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix says the format (.png, .pdf, .svg)."""
    with warnings.catch_warnings():
        # a class name in a script that the font lacks is drawn as boxes; the table has it in full
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        file = io.BytesIO()
        figure.savefig(file, format=path.suffix.lstrip(".").lower())
    replace_file(path, file.getvalue())
