"""A network drawn as blocks: what each stage makes of a picture, costs and sees. Chapter `network`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor

from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.cost import StageCost, cost_figure, measure_cost, milliseconds, short
from striate.explain.drawing import to_array
from striate.explain.lettering import families, text_width, wrapped
from striate.explain.receptive_field import EFFECTIVE, FieldOfView, fields_of_view, receptive_field_figure
from striate.explain.subject import Subject
from striate.models.stage_summary import StageSummary, summarize_stages

COLUMN, LABELS, MARGIN = 0.92, 0.95, 0.15  # inches
MOST_COLUMNS = 7
SIDE, DEEPEST = 0.52, 0.26  # inches, of the picture's longer side and of 4,096 maps
HIGH = 1.16  # inches of a row of blocks
SLANT = 0.42  # how far back and up a map's width goes
TYPE, LINE = 7.2, 0.14  # points, inches
BLUES = LinearSegmentedColormap.from_list("share", ["#f2f7fb", "#56b4e9", "#0072b2"])  # Okabe and Ito 2008
STAGES_DRAWN = 12  # receptive fields


def network_figure(
    stages: Sequence[StageSummary], input_shape: tuple[int, int, int], title: str, picture: Tensor | None = None
) -> Figure:
    """Return a network as blocks from the picture to the logits, with what each makes, costs and sees under it.

    A block's height is the side of its maps, its length their number, both on a scale that shows small ones; the
    darker, the greater its share of the multiply-adds.

    Args:
        stages: Of `summarize_stages`.
        input_shape: (C, H, W) of one picture.
        title: Over the whole.
        picture: One that the network may see, C H W on 0 … 255, drawn as the input.
    """
    blocks = [None, *stages]
    count = math.ceil(len(blocks) / MOST_COLUMNS)
    per_row = math.ceil(len(blocks) / count)
    rows = [blocks[start : start + per_row] for start in range(0, len(blocks), per_row)]
    columns = [[_texts(stage, input_shape) for stage in row] for row in rows]
    contents = [max(len(text[1]) for text in row) for row in columns]
    heights = [HIGH + LINE * (lines + 6.4) for lines in contents]
    width = LABELS + COLUMN * per_row + MARGIN
    heads = wrapped(title, width - 2 * MARGIN, 11, 2)
    top = 0.16 + 0.19 * len(heads)
    height = top + sum(heights)
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), dpi=150)
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        axis.set_axis_off()
        axis.text(width / 2, 0.1, "\n".join(heads), ha="center", va="top", fontsize=11, parse_math=False)
        work = sum(stage.multiply_adds for stage in stages) or 1
        for row, texts, lines, row_height in zip(rows, columns, contents, heights, strict=True):
            _draw_row(axis, row, texts, lines, top, input_shape, work, picture)
            top += row_height
    return figure


def _texts(stage: StageSummary | None, input_shape: tuple[int, int, int]) -> tuple[str, list[str], list[str]]:
    """Return a column's head, the lines of what is in it, and its four figures."""
    room = COLUMN - 0.1
    if stage is None:
        channels, height, width = input_shape
        return "picture", ["grey" if channels == 1 else "colour"], [f"{channels}×{height}×{width}", "", "", ""]
    contents = [line for entry in stage.contents for line in wrapped(entry, room, TYPE, 2)]
    values = [
        "×".join(map(str, stage.shape)),
        short(stage.parameters).strip(),
        short(stage.multiply_adds).strip(),
        f"{stage.receptive_field} px",
    ]
    return wrapped(stage.name, room, 8, 1)[0], contents, values


def _draw_row(
    axis: Axes,
    row: Sequence[StageSummary | None],
    texts: Sequence[tuple[str, list[str], list[str]]],
    lines: int,
    top: float,
    input_shape: tuple[int, int, int],
    work: int,
    picture: Tensor | None,
) -> None:
    middle, under = top + 0.55, top + HIGH
    for number, (stage, (head, contents, values)) in enumerate(zip(row, texts, strict=True)):
        left = LABELS + number * COLUMN
        centre = left + COLUMN / 2
        if stage is None:
            _draw_picture(axis, picture, input_shape, centre, middle)
        else:
            _draw_block(axis, stage, centre, middle, max(input_shape[1:]), BLUES(stage.multiply_adds / work))
        if number or stage is not None:
            style: dict[str, Any] = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 0.8, "mutation_scale": 7}
            axis.annotate("", (left + 0.1, middle), (left - 0.08, middle), arrowprops={**style, "shrinkA": 0})
        axis.text(centre, under, head, ha="center", va="top", fontsize=8, fontweight="bold", parse_math=False)
        for place, line in enumerate(contents):
            _write(axis, centre, under + LINE * (place + 1.3), line, "0.35")
        for place, line in enumerate(values):
            _write(axis, centre, under + LINE * (lines + 1.7 + place), line, "black")
    line_y = under + LINE * (lines + 1.5)
    axis.plot([0.1, LABELS + COLUMN * len(row)], [line_y, line_y], color="0.8", linewidth=0.6)
    for place, label in enumerate(("output", "parameters", "multiply-adds", "one value sees")):
        axis.text(0.1, under + LINE * (lines + 1.7 + place), label, va="top", fontsize=TYPE, color="0.35")


def _write(axis: Axes, x: float, y: float, text: str, colour: str) -> None:
    size = min(TYPE, TYPE * (COLUMN - 0.04) / max(text_width(text, TYPE), 0.01))
    axis.text(x, y, text, ha="center", va="top", fontsize=size, color=colour, parse_math=False)


def _draw_picture(
    axis: Axes, picture: Tensor | None, input_shape: tuple[int, int, int], centre: float, middle: float
) -> None:
    _, height, width = input_shape
    scale = 0.72 / max(height, width)
    w, h = width * scale, height * scale
    corners = (centre - w / 2, centre + w / 2, middle + h / 2, middle - h / 2)
    if picture is not None:
        axis.imshow(
            to_array(picture), extent=corners, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal"
        )
    face = "none" if picture is not None else "0.92"
    axis.add_patch(Rectangle((corners[0], corners[3]), w, h, facecolor=face, edgecolor="0.3", linewidth=0.7))


def _draw_block(axis: Axes, stage: StageSummary, centre: float, middle: float, side: int, colour: Any) -> None:
    """Draw a block of maps seen from the side: their number goes to the right, their width to the back."""
    channels = stage.shape[0] if stage.shape else 1
    rows, columns = stage.shape[1:] if len(stage.shape) == 3 else (1, 1)
    h, back = (max(SIDE * 1.35 * math.sqrt(pixels / side), 0.07) for pixels in (rows, columns))
    long = max(DEEPEST * math.log2(channels + 1) / 12, 0.03)
    if len(stage.shape) < 3:  # one vector: as high as there are numbers
        h, back, long = max(1.5 * long, 0.15), 0.05, 0.07
    shift = SLANT * back
    left, right = centre - (long + shift) / 2, centre - (long + shift) / 2 + long
    upper, lower = middle - h / 2 + shift / 2, middle + h / 2 + shift / 2
    front = [(left, upper), (right, upper), (right, lower), (left, lower)]
    roof = [(left, upper), (left + shift, upper - shift), (right + shift, upper - shift), (right, upper)]
    flank = [(right, upper), (right + shift, upper - shift), (right + shift, lower - shift), (right, lower)]
    for corners, shade in ((front, 1.0), (roof, 1.06), (flank, 0.9)):
        face = tuple(min(1.0, value * shade) for value in colour[:3])
        axis.add_patch(Polygon(corners, facecolor=face, edgecolor="0.25", linewidth=0.6, joinstyle="round"))


@CHAPTERS.register("network")
def chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return the network as blocks, what its stages see of a picture, and where time and memory go."""
    shape = subject.spec.input_shape
    stages = summarize_stages(subject.model, shape)
    full = effort == "full"
    name = subject.card.architecture.name
    parameters, work = sum(s.parameters for s in stages), sum(s.multiply_adds for s in stages)
    chosen = subject.examples(_affordable(32 if full else 8, (5e10 if full else 5e9) / (work * len(stages))))
    pictures = subject.pictures.images[chosen]
    inputs = subject.inputs(pictures)
    shown = pictures[0][:, *subject.spec.centre] if pictures.shape[1:] == subject.spec.picture_shape else pictures[0]
    views = fields_of_view(subject.model, inputs, stages)
    batch = inputs[: _affordable(8, (4e9 if full else 1e9) / work)]
    costs = measure_cost(subject.model, batch, stages, seconds=3.0 if full else 0.4)
    each = milliseconds(sum(cost.seconds for cost in costs) / len(batch))
    drawn = views
    if len(views) > STAGES_DRAWN:
        drawn = [views[n * (len(views) - 1) // (STAGES_DRAWN - 1)] for n in range(STAGES_DRAWN)]
    counted = "the picture" if len(inputs) == 1 else f"{len(inputs)} pictures"
    return Chapter(
        name="network",
        title="The network",
        text=[
            f"{name} turns a picture of {shape[1]}×{shape[2]} pixels into {len(subject.classes)} numbers, by "
            f"{parameters:,} parameters and {work:,} multiply-adds. Forward, a picture took "
            f"{each} here, in batches of {len(batch)} in fp32."
        ],
        plates=[
            Plate(
                "network-blocks",
                network_figure(stages, shape, f"{name}, from picture to classes", shown),
                "Each block is a stage: its height is the side of its maps, its length their number, and the darker "
                "it is, the more of all multiply-adds are done in it. “One value sees” is the receptive field: the "
                "side of the square of the picture that one value of the stage's output depends on.",
                f"{name} drawn as {len(stages)} blocks. " + "; ".join(_told(stage) for stage in stages),
            ),
            Plate(
                "network-receptive-fields",
                receptive_field_figure(shown, drawn),
                "What the middle value of each stage depends on. Within the solid frame is all that it can see. The "
                f"dashed square holds {100 * EFFECTIVE:.0f} % of the squared gradient, of {counted}: there it is "
                "decided.",
                "; ".join(_seen(view) for view in views),
            ),
            Plate(
                "network-cost",
                cost_figure(costs, len(batch), str(subject.device)),
                "Time is the median of several passes on this machine. Activations are the outputs of all layers for "
                "one picture in fp32, which training keeps for the way back; weights are there once.",
                "; ".join(f"{cost.name} {1e3 * cost.seconds:.3g} ms" for cost in costs),
            ),
        ],
        tables=[_table(stages, views, costs)],
        values={
            "parameters": parameters,
            "multiply_adds": work,
            "stages": [
                {
                    "name": stage.name,
                    "shape": list(stage.shape),
                    "parameters": stage.parameters,
                    "multiply_adds": stage.multiply_adds,
                    "receptive_field": stage.receptive_field,
                    "effective_field": round(view.effective, 2) if view else None,
                    "activation_bytes": stage.activation_bytes,
                    "seconds": cost.seconds,
                }
                for stage, view, cost in zip(stages, [*views, None], costs, strict=True)
            ],
        },
    )


def _affordable(most: int, count: float) -> int:
    return max(1, min(most, int(count)))


def _told(stage: StageSummary) -> str:
    return f"{stage.name}: {'×'.join(map(str, stage.shape))}, {stage.parameters:,} parameters"


def _seen(view: FieldOfView) -> str:
    return f"{view.name} sees {view.receptive_field} pixels, mostly {view.effective:.3g}"


def _table(stages: Sequence[StageSummary], views: Sequence[FieldOfView], costs: Sequence[StageCost]) -> Table:
    heads = (
        "stage",
        "output",
        "parameters",
        "multiply-adds",
        "sees px",
        f"{100 * EFFECTIVE:.0f} % of it px",
        "ms per batch",
    )
    rows = [
        (
            stage.name,
            "×".join(map(str, stage.shape)),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
            str(stage.receptive_field),
            f"{view.effective:.3g}" if view else "n/a",
            f"{1e3 * cost.seconds:.3g}",
        )
        for stage, view, cost in zip(stages, [*views, None], costs, strict=True)
    ]
    return Table(
        heads,
        rows,
        "What each stage makes of a picture, costs and sees. n/a: the numbers of the classes are at no place of it.",
    )
