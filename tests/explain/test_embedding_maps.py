"""Maps with names and pictures: none hides another, whatever they are called and however many they are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from striate.explain.embedding import Map, pictures_map, points_map, styles
from striate.explain.embedding.drawn import HEIGHT, WIDTH
from striate.explain.embedding.places import Box, on_grid, place_names, snapped
from striate.explain.thumbnails import thumbnails

NAMES = (
    "cat",
    "a golden retriever of a kind whose name has no end",
    "$x_1^2$ & _y_",
    "<img src=x onerror=alert(1)>",
    "図鑑の写真を分類する",
)


def shown(count: int = 60, kinds: int = 5, names: tuple[str, ...] = NAMES) -> Map:
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(count) % kinds
    points = torch.randn(count, 2, generator=generator) + 3 * torch.stack([groups.cos(), groups.sin()], 1)
    right = torch.rand(count, generator=generator) < 0.8
    return Map(points, groups, names, styles(torch.randn(count, 9, generator=generator), groups, len(names)), right)


def images(count: int, channels: int = 1, side: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


def texts_within(figure: Figure) -> list[str]:
    """Return all texts, having seen that each lies within the figure and none touches another."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    found = [text for text in [*figure.texts, *figure.axes[0].texts] if text.get_text()]
    width, height = figure.bbox.size
    boxes = [text.get_window_extent(renderer) for text in found]
    for text, box in zip(found, boxes, strict=True):
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
        assert text.get_fontsize() >= 7
    for (one, box), (other, its) in combinations(zip(found, boxes, strict=True), 2):
        assert not box.overlaps(its), (one, other)
    return [text.get_text() for text in found]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_every_name_stands_on_both_maps_and_none_overlaps():
    for figure in (points_map(shown(), "A map of $things$"), pictures_map(shown(), images(60), "A map of $things$")):
        texts = texts_within(figure)
        assert "A map of $things$" in texts
        assert {"cat", "$x_1^2$ & _y_"} <= set(texts)
        assert any(text.startswith("a golden") and text.endswith("…") for text in texts)


def test_of_a_thousand_classes_as_many_are_named_as_find_room():
    names = tuple(f"a class of number {number}" for number in range(1000))
    figure = points_map(shown(1500, 1000, names), "Many")
    assert len(texts_within(figure)) > 10


def test_each_wrong_answer_has_a_cross():
    what = shown()
    figure = points_map(what, "Points")
    crosses = np.asarray(figure.axes[0].collections[-1].get_offsets())
    assert what.right is not None
    np.testing.assert_allclose(crosses, what.pixels[~what.right])


def test_one_picture_or_all_in_one_place_are_a_map():
    one = Map(
        torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), ("a", "b"), styles(torch.ones(1, 3), torch.tensor([0]), 2)
    )
    assert one.pixels.tolist() == [[WIDTH / 2, HEIGHT / 2]]
    texts_within(points_map(one, "One"))
    texts_within(pictures_map(one, images(1, 3, 100), "One"))


def test_the_map_shows_the_pictures_own_pixels_enlarged_whole():
    one = Map(torch.zeros(1, 2), torch.tensor([0]), ("a",), styles(torch.ones(1, 3), torch.tensor([0]), 1))
    picture = images(1, 3, 8)
    canvas = np.asarray(pictures_map(one, picture, "One").axes[0].images[0].get_array())
    wanted = np.kron(picture[0].permute(1, 2, 0).numpy(), np.ones((11, 11, 1), np.uint8))  # 8 · 11 + frame ≈ 90 pixels
    rows, columns = ((canvas != 255).any(2).any(axis).nonzero()[0] for axis in (1, 0))
    framed = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (framed[2:-2, 2:-2] == wanted).all()


@given(
    st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300)), min_size=1, max_size=25),
    st.lists(st.tuples(st.floats(5, 150), st.floats(5, 40)), min_size=25, max_size=25),
)
def test_placed_names_stay_inside_and_apart(anchors, sizes):
    sizes = sizes[: len(anchors)]
    boxes = place_names(anchors, sizes, (400, 300), 120)
    placed = [box for box in boxes if box is not None]
    assert boxes[0] is not None
    assert not any(one.meets(other) for one, other in combinations(placed, 2))
    for box in placed:
        assert 0 <= box.left <= 400 - box.width
        assert 0 <= box.top <= 300 - box.height
    moved = on_grid(placed, 50, (0, 0))
    assert not any(one.meets(other) for one, other in combinations(moved, 2))


def test_a_name_with_room_stands_at_its_anchor():
    assert place_names([(100, 50)], [(40, 20)], (400, 300), 50) == [Box(80, 40, 40, 20)]


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 6), st.integers(0, 9))
def test_no_picture_is_twice_on_the_grid_and_none_where_it_is_blocked(count, columns, rows, seed):
    generator = torch.Generator().manual_seed(seed)
    points, blocked = torch.rand(count, 2, generator=generator), torch.rand(rows, columns, generator=generator) < 0.3
    grid = snapped(points, blocked)
    there = grid[grid >= 0].tolist()
    assert len(there) == len(set(there))
    assert (grid[blocked] == -1).all()
    for row, column in (grid >= 0).nonzero().tolist():
        x, y = (points[grid[row, column]].double() * torch.tensor([columns, rows])).floor().tolist()
        assert (x - column) ** 2 + (y - row) ** 2 <= 4


def test_a_cell_shows_the_nearest_and_the_others_go_beside_it():
    points = torch.tensor([[0.10, 0.5], [0.15, 0.5], [0.12, 0.5], [0.99, 0.5]])  # four cells in a row, middles at 1/8 …
    free = torch.zeros(1, 4, dtype=torch.bool)
    assert snapped(points, free).tolist() == [[2, 0, 1, 3]]
    assert snapped(points, torch.tensor([[False, True, False, False]]), 1).tolist() == [[2, -1, -1, 3]]


def test_large_pictures_are_reduced_by_means():
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    small = thumbnails(picture, 2)
    assert small[0, :, :, 0].tolist() == [[2, 4], [10, 12]]  # 2.5, 4.5, 10.5, 12.5 rounded to even
    assert (small == small[:, :, :, :1]).all()
    assert thumbnails(torch.zeros(2, 3, 100, 10), 50).shape == (2, 50, 5, 3)
