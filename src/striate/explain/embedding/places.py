"""Places for names and pictures on a map, such that none hides another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_STEPS, _TURNS = 24, 16  # rings, and places on each, where a name is tried


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Return whether both have a point in common that is not on their edges alone."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


def place_names(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    area: tuple[float, float],
    reach: float,
) -> list[Box | None]:
    """Return a box for each name, its middle as near to its anchor as the boxes before it allow; none overlap.

    Args:
        anchors: x and y of the points that they name.
        sizes: Widths and heights.
        area: Width and height that they have to stay in.
        reach: Farthest that a name may lie from its anchor.

    Returns:
        None for a name that finds no room.
    """
    placed: list[Box | None] = []
    for anchor, size in zip(anchors, sizes, strict=True):
        taken = [box for box in placed if box is not None]
        tries = (_inside(place, size, area) for place in _rings(anchor, reach))
        fitting = (box for box in tries if box is not None and not any(box.meets(other) for other in taken))
        placed.append(next(fitting, None))
    return placed


def _rings(anchor: tuple[float, float], reach: float) -> list[tuple[float, float]]:
    x, y = anchor
    places = [anchor]
    for step in range(1, _STEPS + 1):
        radius = reach * step / _STEPS
        angles = [2 * math.pi * turn / _TURNS for turn in range(_TURNS)]
        places += [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    return places


def _inside(middle: tuple[float, float], size: tuple[float, float], area: tuple[float, float]) -> Box | None:
    """Return the box about a place, moved into the area where it juts out; None where it is larger than that."""
    (x, y), (width, height) = middle, size
    if width > area[0] or height > area[1]:
        return None
    left = min(max(x - width / 2, 0), area[0] - width)
    top = min(max(y - height / 2, 0), area[1] - height)
    return Box(left, top, width, height)


def on_grid(boxes: Sequence[Box], cell: int, corner: tuple[int, int]) -> list[Box]:
    """Return boxes moved so that they cover few cells of a grid; one that would then meet another stays where it is.

    Args:
        boxes: None meets another.
        cell: Side of the grid's cells.
        corner: x and y of its upper left corner.
    """
    moved = list(boxes)
    for number, box in enumerate(boxes):
        ends = []
        for start, length, origin in ((box.left, box.width, corner[0]), (box.top, box.height, corner[1])):
            covered = math.ceil(length / cell) * cell
            first = origin + round((start + (length - covered) / 2 - origin) / cell) * cell
            ends.append(first + (covered - length) / 2)
        there = Box(ends[0], ends[1], box.width, box.height)
        if not any(there.meets(other) for other in moved[:number] + moved[number + 1 :]):
            moved[number] = there
    return moved


def snapped(points: Tensor, blocked: Tensor, reach: float = 2) -> Tensor:
    """Return the number of the point that each cell of a grid shows, int64 rows columns; −1 for none.

    A cell shows the point nearest to its middle. Points that are left take the nearest free cell whose middle is no
    farther than `reach` cells from that of theirs, those first that are nearest to their own cell's middle.

    Args:
        points: Float, N 2; x and y on 0 … 1, y downwards.
        blocked: Cells that stay free, bool, rows columns.
        reach: In sides of a cell.
    """
    rows, columns = blocked.shape
    scaled = points.double() * torch.tensor([columns, rows])
    cells = scaled.floor().long().clamp_min(0).minimum(torch.tensor([columns - 1, rows - 1]))  # N 2
    away = (scaled - cells - 0.5).square().sum(1)
    grid = torch.where(blocked, -2, -1).tolist()
    steps = range(-int(reach), int(reach) + 1)
    offsets = sorted((x * x + y * y, y, x) for y in steps for x in steps if x * x + y * y <= reach * reach)
    nearest_first = [(number, *cells[number].tolist()) for number in away.argsort(stable=True).tolist()]
    for round_offsets in (offsets[:1], offsets[1:]):
        left = []
        for number, column, row in nearest_first:
            for _, down, right in round_offsets:
                x, y = column + right, row + down
                if 0 <= x < columns and 0 <= y < rows and grid[y][x] == -1:
                    grid[y][x] = number
                    break
            else:
                left.append((number, column, row))
        nearest_first = left
    return torch.tensor(grid).clamp_min(-1)
