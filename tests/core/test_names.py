"""Names in files, lines and messages: what is text stays, and what is not can be told from it."""

from __future__ import annotations

import os
import re

from hypothesis import given
from hypothesis import strategies as st

from striate.core.names import in_a_cell, in_a_message, in_utf8


@given(st.text())
def test_text_stays_as_it_is(name: str) -> None:
    assert in_utf8(name) == name


@given(st.binary(min_size=1))
def test_every_other_name_becomes_text_that_its_bytes_can_be_made_of_again(data: bytes) -> None:
    name = data.decode("utf-8", "surrogateescape")
    text = in_utf8(name)
    text.encode()
    if text != name:
        pieces = re.split(r"(\\\\|\\x[0-9a-f]{2})", text)
        again = [b"\\" if p == r"\\" else bytes.fromhex(p[2:]) if p[:2] == r"\x" else p.encode() for p in pieces]
        assert b"".join(again) == data


@given(st.binary())
def test_a_cell_is_printed_and_says_which_bytes_it_stands_for(data: bytes) -> None:
    cell = in_a_cell(os.fsdecode(data))
    cell.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", cell)
    assert in_a_cell("\t\n\r\\\x1b\x85") == r"\t\n\r\\\x1b\u0085"


def test_a_message_keeps_its_lines() -> None:
    assert in_a_message("error: a\x1b[2J\udcff\nfix:\tb \\") == "error: a\\x1b[2J\\xff\nfix:\tb \\"
