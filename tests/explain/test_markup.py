"""HTML: whatever stands in a name is shown, and nothing of it is obeyed."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.explain.report.markup import Markup, escaped, joined, named, readable, tag

ODD = ["<img src=x onerror=alert(1)>", "</script>", "\"quoted\" & 'so'", "$x^2$", "שלום <b>", "👩‍🔬", "]]>-->", ""]


class Texts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.started: list[tuple[str, list]] = []
        self.feed(page)
        self.close()

    def handle_data(self, data):
        self.found.append(data)

    def handle_starttag(self, tag, attrs):
        self.started.append((tag, attrs))


@pytest.mark.parametrize("text", ODD)
def test_text_and_attributes_come_back_as_they_were(text):
    read = Texts(tag("p", text, title=text))
    assert "".join(read.found) == text
    assert read.started == [("p", [("title", text)])]


@given(st.text())
def test_any_text_comes_back_readable(text):
    read = Texts(tag("p", text, title=text))
    assert "".join(read.found) == readable(text)
    assert read.started == [("p", [("title", readable(text))])]
    readable(text).encode()  # a page can be written


def test_what_no_page_can_show_is_marked():
    assert readable("a\x00b\x1b[31m\udcffc\u202eevil") == "a�b�[31m�c�evil"
    assert readable("line\nbreak\tand 👩‍🔬 ‌ע") == "line\nbreak\tand 👩‍🔬 ‌ע"


def test_markup_is_escaped_once():
    inner = tag("b", "1 < 2")
    assert inner == "<b>1 &lt; 2</b>"
    assert tag("p", "a & b: ", [inner, ["x", Markup("<br>")]]) == "<p>a &amp; b: <b>1 &lt; 2</b>x<br></p>"
    assert escaped(inner) is inner
    assert joined([]) == ""


def test_attributes():
    assert tag("img", src="x", class_="a", aria_label="b", hidden=True, width=3, alt=None, lazy=False) == (
        '<img src="x" class="a" aria-label="b" hidden width="3">'
    )
    assert named("x") == "<bdi>x</bdi>"


def test_names_set_apart_stay_so_and_other_turns_do_not() -> None:
    assert readable("\u2068חתול\u2069 taken for x") == "\u2068חתול\u2069 taken for x"
    assert readable("\u2068a\u202eb\u2069 c\u2068d") == "�a�b� c�d"
    assert named("\u2068חתול\u2069 taken for <x>") == "<bdi>חתול</bdi> taken for &lt;x&gt;"
    assert named("חתול") == "<bdi>חתול</bdi>"
