"""Names broken and shortened to the room there is: never wider than it, and nothing lost that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from striate.explain.lettering import isolated, printable, text_width, told, wrapped


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


def test_a_name_from_right_to_left_leaves_a_sentence_its_order() -> None:
    assert isolated("cat") == "cat"
    assert isolated("חתול") == "\u2068חתול\u2069"
    assert isolated("חתול\u2069\u202e") == "\u2068חתול�\u2069", "nothing of a name ends or turns it"
    assert wrapped(isolated("חתול חתול"), 0.35, 8, 2) == ["\u2068חתול\u2069", "\u2068חתול\u2069"]


@given(st.lists(st.text("abcdefgh_ ", min_size=1, max_size=80), min_size=2, max_size=2))
def test_long_names_are_cut_and_the_sentence_is_not(names: list[str]) -> None:
    lines = told("{} taken for {}: 12 of 34", names, 3.0, 8, 2)
    text = " ".join(lines)
    assert "taken for" in text.replace("  ", " ")
    assert text.endswith("12 of 34")
    assert len(lines) <= 2
    assert all(text_width(line, 8) <= 3.0 for line in lines)


def test_a_short_name_is_whole_beside_a_long_one() -> None:
    assert told("{} taken for {}: 1 of 2", ["cat", 60 * "dog"], 3.0, 8, 1)[0].startswith("cat taken for dogdog")
    assert told("{} missed", ["cat"], 3.0, 8, 1) == ["cat missed"]
