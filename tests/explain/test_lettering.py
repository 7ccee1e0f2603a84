"""Names broken and shortened to the room there is: never wider than it, and nothing lost that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from striate.explain.lettering import printable, text_width, wrapped


@pytest.mark.parametrize("text", ["cat", "WWWW", "a golden retriever", "$x_1$", "iiii llll"])
def test_widths_are_those_that_are_drawn(text: str) -> None:
    figure = Figure(dpi=72)
    canvas = FigureCanvasAgg(figure)
    drawn = figure.text(0, 0, text, fontsize=30, parse_math=False).get_window_extent(canvas.get_renderer())
    assert 72 * text_width(text, 30) == pytest.approx(drawn.width, rel=0.05, abs=2)


@given(st.text(st.characters(codec="latin-1"), max_size=60), st.integers(1, 3))
def test_lines_fit_and_hold_the_beginning_of_the_text(text: str, lines: int) -> None:
    found = wrapped(text, 1.0, 8, lines)
    assert 1 <= len(found) <= lines
    assert all(text_width(line, 8) <= 1.0 for line in found)
    told, whole = "".join(found).replace(" ", ""), printable(text).replace(" ", "")
    assert told == whole or (told.endswith("…") and whole.startswith(told[:-1]))


def test_lines_break_where_words_do() -> None:
    assert wrapped("a golden retriever", 0.7, 8, 2) == ["a golden", "retriever"]
    assert wrapped("golden_retriever", 0.7, 8, 2) == ["golden_", "retriever"]


def test_odd_bytes_and_control_characters_are_shown_as_such() -> None:
    assert printable("a\udcffb\x01c\nd\te") == "a�b�c d e"
    assert printable("写真 é") == "写真 é"
