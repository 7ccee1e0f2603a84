"""What one value of a stage sees of a picture: all that it may depend on, and where it is really decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from striate.explain.drawing import to_array
from striate.explain.hooks import outputs_of
from striate.explain.lettering import families, wrapped
from striate.models import Classifier
from striate.models.contract import evaluating
from striate.models.stage_summary import StageSummary

EFFECTIVE = 0.9  # share of the squared gradient within the effective field
COLUMNS = 4
CELL, LINE = 1.62, 0.16  # inches
ORANGE, BLUE = "#e69f00", "#0072b2"  # Okabe and Ito 2008
VEIL = 0.62  # of white, over what is not seen
PHOTOGRAPH = 100  # pixels of a side
INSIDE = 0.009  # of the picture's width, by which the dashes stand inside their square, beside a frame on it
SMALL = 0.04  # of the picture's width, up to which a square has no room for dashes


@dataclass(frozen=True)
class FieldOfView:
    """What the middle value of a stage's maps sees; boxes are left, top, right and bottom in pixels, in the picture.

    Args:
        name: The stage.
        places: Height and width of its maps.
        receptive_field: Side of the square it may depend on, cut off at the picture's own.
        box: That square.
        effective: Side of the smallest square that holds 90 % of the squared gradient.
        effective_box: That square.
        whole: Whether every value may depend on the whole picture.
    """

    name: str
    places: tuple[int, int]
    receptive_field: int
    box: tuple[float, float, float, float]
    effective: float
    effective_box: tuple[float, float, float, float]
    whole: bool


def fields_of_view(model: Classifier, inputs: Tensor, stages: Sequence[StageSummary]) -> list[FieldOfView]:
    """Return what the middle value of each stage sees.

    Where a value can see to is arithmetic (models/summary); where it is really decided is measured: the gradient of
    the middle value, all channels with random signs, by the pixels, squared and averaged over pictures (Luo, Li,
    Urtasun and Zemel, "Understanding the effective receptive field in deep convolutional neural networks", 2016).

    Args:
        model: Left as it is; no gradient of its weights is computed.
        inputs: Network inputs, N C H W; a few pictures.
        stages: Of `summarize_stages` for pictures of this size.
    """
    height, width = inputs.shape[2:]
    energies = gradient_energy(model, inputs)
    views = []
    for stage in stages:
        if stage.name not in energies:
            continue
        energy = energies[stage.name]
        rows, columns = stage.shape[1:]
        box = (0.0, 0.0, float(width), float(height))
        if stage.fields is not None:
            (top, bottom), (left, right) = (
                field.within(count // 2, side)
                for field, count, side in zip(stage.fields, (rows, columns), (height, width), strict=True)
            )
            box = (left, top, right, bottom)
        effective_box = _smallest_square(energy)
        views.append(
            FieldOfView(
                name=stage.name,
                places=(rows, columns),
                receptive_field=stage.receptive_field,
                box=box,
                effective=max(effective_box[2] - effective_box[0], effective_box[3] - effective_box[1]),
                effective_box=effective_box,
                whole=box == (0, 0, width, height),
            )
        )
    return views


def gradient_energy(model: Classifier, inputs: Tensor) -> dict[str, Tensor]:
    """Return, for each stage, the squared gradient of its middle value by the pixels: float64 H W, summing to 1.

    Args:
        model: Left as it is.
        inputs: N C H W; the gradients are averaged over them.
    """
    modules = model.stages()
    generator = torch.Generator().manual_seed(0)
    pixels = inputs.detach().clone().requires_grad_()
    energies = {}
    with evaluating(model), torch.enable_grad(), outputs_of(modules) as outputs:
        model(pixels)
        for name, maps in outputs.items():
            middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]  # N F
            signs = torch.randint(0, 2, middle.shape, generator=generator).to(middle) * 2 - 1
            (gradient,) = torch.autograd.grad((middle * signs).sum(), pixels, retain_graph=True)
            energy = gradient.double().square().sum((0, 1)).cpu()
            energies[name] = energy / energy.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return energies


def _smallest_square(energy: Tensor) -> tuple[float, float, float, float]:
    """Return the smallest square that holds `EFFECTIVE` of a map H W summing to 1, cut off at the picture."""
    height, width = energy.shape
    sums = torch.zeros(height + 1, width + 1, dtype=torch.float64)  # of all above and to the left
    sums[1:, 1:] = energy.cumsum(0).cumsum(1)
    for side in range(1, max(height, width) + 1):
        h, w = min(side, height), min(side, width)
        inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
        if float(inside.max()) >= EFFECTIVE:
            top, left = divmod(int(inside.argmax()), inside.shape[1])
            return float(left), float(top), float(left + w), float(top + h)
    return 0.0, 0.0, float(width), float(height)  # no pixel has an influence


def receptive_field_figure(picture: Tensor, views: Sequence[FieldOfView]) -> Figure:
    """Return a picture once per stage with what the stage's middle value sees of it.

    Args:
        picture: What the network sees, uint8 C H W.
        views: Of `fields_of_view`.
    """
    rows = math.ceil(len(views) / COLUMNS)
    columns = math.ceil(len(views) / rows)
    _, height, width = picture.shape
    high = CELL * min(max(height / width, 0.4), 1.8)
    sheet_width = max(columns * (CELL + 0.18) + 0.18, 4.4)
    step = high + 3 * LINE + 0.12
    title = wrapped("What one value of each stage sees of the picture", sheet_width - 0.3, 11, 2)
    top, foot = 0.2 + 0.2 * len(title), 0.4
    sheet_height = top + rows * step + foot
    inner = columns * (CELL + 0.18) - 0.18
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(sheet_width, sheet_height), dpi=150 if is_small(picture) else 110)
        figure.text(0.5, 1 - 0.1 / sheet_height, "\n".join(title), ha="center", va="top", fontsize=11)
        for number, view in enumerate(views):
            x = (sheet_width - inner) / 2 + number % columns * (CELL + 0.18)
            y = sheet_height - top - (number // columns) * step - 3 * LINE - high
            axis = figure.add_axes((x / sheet_width, y / sheet_height, CELL / sheet_width, high / sheet_height))
            _draw(axis, picture, view, high)
        lines = [Line2D([], [], color=ORANGE, linewidth=2), Line2D([], [], color=BLUE, linewidth=1.6, linestyle="--")]
        labels = ["all that it can see", f"{100 * EFFECTIVE:.0f} % of the squared gradient"]
        figure.legend(lines, labels, loc="lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def is_small(picture: Tensor) -> bool:
    """Return whether a picture C H W is shown by its single pixels."""
    return max(picture.shape[1:]) < PHOTOGRAPH


def _draw(axis: Axes, picture: Tensor, view: FieldOfView, scale: float) -> None:
    _, height, width = picture.shape
    left, top, right, bottom = view.box
    unseen = torch.ones(height, width, dtype=torch.bool)
    unseen[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = False
    shown = torch.where(unseen, VEIL * 255 + (1 - VEIL) * picture.float(), picture.float())
    axis.imshow(
        to_array(shown),
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(0, width, height, 0),
        interpolation="nearest" if is_small(picture) else "auto",
    )
    thin = min(1.0, max(0.4, 4 * (right - left) / width))
    _frame(axis, view.box, ORANGE, 2.2 * thin)
    if view.effective > SMALL * width:
        inner = _shrunk(view.effective_box, INSIDE * width)
        _frame(axis, inner, "white", 2.6 * thin)  # so that the dashes stand out on any picture
        _frame(axis, inner, BLUE, 1.6 * thin, "--")
    axis.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    seen = "all" if view.whole else f"{view.receptive_field} px"
    name = wrapped(view.name, CELL, 8.5, 1)[0]
    text = f"{view.places[0]}×{view.places[1]} places, each sees {seen}"
    lines = wrapped(text, CELL + 0.14, 7.2, 1)[0], f"{100 * EFFECTIVE:.0f} % within {view.effective:.3g} px"
    for place, (line, size, weight) in enumerate(
        [(lines[1], 7.2, "normal"), (lines[0], 7.2, "normal"), (name, 8.5, "bold")]
    ):
        y = 1 + (0.05 + LINE * place) / scale
        axis.text(
            0.5, y, line, transform=axis.transAxes, ha="center", fontsize=size, fontweight=weight, parse_math=False
        )


def _shrunk(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left + by, top + by, right - by, bottom - by


def _frame(axis: Axes, box: tuple[float, float, float, float], colour: str, width: float, style: str = "-") -> None:
    left, top, right, bottom = box
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, clip_on=False, zorder=3)
    frame.set(edgecolor=colour, linewidth=width, linestyle=style)
    axis.add_patch(frame)
