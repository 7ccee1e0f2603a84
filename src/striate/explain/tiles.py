"""Small pictures in rows on one sheet, each over a line of text, laid out in inches so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray
from torch import Tensor

from striate.explain.lettering import families, text_width, wrapped

Pixels = NDArray[np.uint8]  # H W 3

DPI = 150
GAP, MARGIN = 0.08, 0.2  # inches
TYPE, LINE = 7.0, 0.125  # points, inches
TITLE_TYPE, TITLE_LINE = 11, 0.2
LEAD_LINES = 4  # under the larger tile
LABEL = 1.1  # inches at most for what stands left of a row
LEAST_WIDTH = 4.4
AROUND = 0.012  # inches between a place and the line round it
BAR = (1.5, 0.09)  # inches of a scale of colours
OUTLINE = [Stroke(linewidth=2.2, foreground="black"), Normal()]  # an orange line is seen on light and on dark
SIGNED, HEAT = "RdBu", "viridis"
ORANGE = "#e69f00"  # Okabe and Ito 2008


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet.

    Args:
        pixels: uint8, H W 3.
        text: Under it.
        box: (top, left, bottom, right) of a place in it, in pixels from its corner.
        area: Float, of any size: where this is 0.5 or more is marked by a line round it.
        framed: Set apart from its neighbours by a frame.
    """

    pixels: Pixels
    text: str = ""
    box: tuple[float, float, float, float] | None = None
    area: NDArray[np.float32] | None = None
    framed: bool = False


@dataclass(frozen=True)
class Scale:
    """The colours of numbers: from red over white (0) to blue, or from dark (`low`) to bright.

    Args:
        low, high: Texts of its ends.
        signed: Whether 0 is in its middle.
    """

    low: str
    high: str
    signed: bool


def signed_colours(values: Tensor, limit: float) -> Pixels:
    """Return numbers H W as colours H W 3: blue is positive, red negative, white 0; full at ± `limit`."""
    return _colours(SIGNED, values / (2 * limit or 1.0) + 0.5)


def heat_colours(values: Tensor, limit: float) -> Pixels:
    """Return numbers H W as colours H W 3, from 0 (dark) to `limit` (bright)."""
    return _colours(HEAT, values / (limit or 1.0))


def _colours(name: str, shares: Tensor) -> Pixels:
    colours: Pixels = colormaps[name](shares.clamp(0, 1).cpu().numpy(), bytes=True)[..., :3]
    return colours


def picture_colours(picture: Tensor) -> Pixels:
    """Return a picture on 0 … 255, C H W with one channel or three, as uint8 H W 3."""
    pixels: Pixels = picture.round().clamp(0, 255).byte().cpu().expand(3, -1, -1).permute(1, 2, 0).numpy()
    return pixels


def tile_sheet(
    rows: Sequence[Sequence[Tile]],
    title: str,
    *,
    labels: Sequence[str] = (),
    heads: Sequence[str] = (),
    lead: Tile | None = None,
    scale: Scale | None = None,
    side: float = 0.8,
    lines: int = 1,
    dpi: int = DPI,
) -> Figure:
    """Return the figure of rows of tiles.

    Args:
        rows: Tiles of one shape; one row or more.
        title: Over the whole, at most three lines.
        labels: One at the left of each row; each of its lines is broken once at most.
        heads: One over each column, in one line.
        lead: A larger tile at the left of all rows.
        scale: What the colours mean, under the whole.
        side: Wanted inches of a tile's longer side; small pictures are enlarged by whole pixels.
        lines: Lines of text under each tile; the larger one has four.
        dpi: Dots per inch.
    """
    columns = max(len(row) for row in rows)
    width, height = tile_size(rows[0][0].pixels, side)
    step = height + (LINE * lines + 0.02 if lines else 0.0) + GAP
    grid = columns * (width + GAP) - GAP, len(rows) * step - GAP
    said = [_broken(label, LABEL, 2) for label in labels]
    beside = max((text_width(line, TYPE) for part in said for line in part), default=0.0)
    left = beside + 1.5 * GAP if labels else 0.0
    if lead is not None:
        lead_size = tile_size(lead.pixels, 2.0 * side)
        left = lead_size[0] + 4 * GAP
        grid = grid[0], max(grid[1], lead_size[1] + LEAD_LINES * LINE)
    inner = max(left + grid[0], LEAST_WIDTH)
    left += (inner - left - grid[0]) / 2
    titles = wrapped(title, inner, TITLE_TYPE, 3)
    top = MARGIN + TITLE_LINE * len(titles) + 0.06 + (LINE + 0.03 if heads else 0.0)
    size = inner + 2 * MARGIN, top + grid[1] + (0.3 if scale else 0.0) + MARGIN * 0.6
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=size, dpi=dpi)
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set_axis_off()
        axis.text(size[0] / 2, MARGIN, "\n".join(titles), ha="center", va="top", fontsize=TITLE_TYPE, parse_math=False)
        for column, head in enumerate(heads):
            x = MARGIN + left + column * (width + GAP) + width / 2
            _write(axis, x, top - LINE - 0.02, wrapped(head, width + GAP, TYPE, 1))
        if lead is not None:
            y = top + max(0.0, (grid[1] - lead_size[1] - LEAD_LINES * LINE) / 2)
            _draw(axis, lead, MARGIN, y, lead_size, 2)
        for number, row in enumerate(rows):
            y = top + number * step
            if labels:
                x = MARGIN + left - 1.5 * GAP
                _write(axis, x, y + height / 2 - LINE * len(said[number]) / 2, said[number], "right")
            for column, tile in enumerate(row):
                _draw(axis, tile, MARGIN + left + column * (width + GAP), y, (width, height), lines)
        if scale is not None:
            _draw_scale(axis, scale, size)
        axis.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def tile_size(pixels: Pixels, side: float) -> tuple[float, float]:
    """Return width and height in inches, the longer about `side`; a whole number of dots for each pixel if enlarged."""
    high, wide = pixels.shape[:2]
    longer, dots = max(high, wide), side * DPI
    scale = dots / longer if longer > dots else float(max(1, round(dots / longer)))
    return round(scale * wide) / DPI, round(scale * high) / DPI


def _broken(text: str, width: float, lines: int) -> list[str]:
    """Return each line of a text in at most `lines` lines of at most `width` inches."""
    return [line for part in text.split("\n") for line in wrapped(part, width, TYPE, lines)]


def _write(axis: Axes, x: float, y: float, lines: Sequence[str], align: str = "center") -> None:
    for number, line in enumerate(lines):
        axis.text(x, y + LINE * (number + 0.8), line, ha=align, va="baseline", fontsize=TYPE, parse_math=False)


def _draw(axis: Axes, tile: Tile, x: float, y: float, size: tuple[float, float], lines: int) -> None:
    x, y = round(x * DPI) / DPI, round(y * DPI) / DPI  # whole pixels stay whole
    width, height = size
    high, wide = tile.pixels.shape[:2]
    rough = "nearest" if high <= height * DPI else "antialiased"
    axis.imshow(tile.pixels, extent=(x, x + width, y + height, y), aspect="auto", interpolation=rough)
    frame = (1.2, "black") if tile.framed else (0.4, "0.6")
    axis.add_patch(Rectangle((x, y), width, height, fill=False, linewidth=frame[0], edgecolor=frame[1]))
    if tile.box is not None:
        top, left, bottom, right = tile.box
        corner = x + width * left / wide - AROUND, y + height * top / high - AROUND
        extent = width * (right - left) / wide + 2 * AROUND, height * (bottom - top) / high + 2 * AROUND
        axis.add_patch(Rectangle(corner, *extent, fill=False, linewidth=1.2, edgecolor=ORANGE, path_effects=OUTLINE))
    if tile.area is not None and float(tile.area.max()) > 0.5 and float(tile.area.min()) < 0.5:
        rows, columns = tile.area.shape
        across = x + (np.arange(columns) + 0.5) * width / columns
        down = y + (np.arange(rows) + 0.5) * height / rows
        line = axis.contour(across, down, tile.area, levels=[0.5], colors=[ORANGE], linewidths=1.2)
        line.set(path_effects=OUTLINE)
    if tile.text and lines:
        _write(axis, x + width / 2, y + height + 0.02, _broken(tile.text, width + 0.6 * GAP, lines))


def _draw_scale(axis: Axes, scale: Scale, size: tuple[float, float]) -> None:
    width, height = BAR
    y = size[1] - MARGIN * 0.6 - height - 0.08
    x = (size[0] - width) / 2
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None]
    axis.imshow(ramp, extent=(x, x + width, y + height, y), aspect="auto", cmap=SIGNED if scale.signed else HEAT)
    axis.add_patch(Rectangle((x, y), width, height, fill=False, linewidth=0.4, edgecolor="0.6"))
    for text, place, align in ((scale.low, x - 0.06, "right"), (scale.high, x + width + 0.06, "left")):
        _write(axis, place, y + height / 2 - LINE * 0.5, [text], align)
    if scale.signed:
        _write(axis, x + width / 2, y + height + 0.0, ["0"])


def number_of(values: float) -> str:
    """Return a number in two or three digits, with a minus that is as wide as a plus."""
    return f"{values:.2g}".replace("-", "−")
