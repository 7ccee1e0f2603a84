"""Names in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str]) -> str:
    """Return the first of many names, at most two."""
    return ", ".join(names[:2]) + (" …" if len(names) > 2 else "")


_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}  # as os.fsdecode keeps what is no UTF-8
_CONTROLS = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)},
    **{code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), 0x2028, 0x2029)},
}
_BACKSLASH = {ord("\\"): r"\\"}
_CELL = {**_BYTES, **_CONTROLS, **_BACKSLASH, **{ord(letter): repr(letter)[1:-1] for letter in "\t\n\r"}}
_MESSAGE = {code: text for code, text in {**_BYTES, **_CONTROLS}.items() if chr(code) not in "\t\n"}


def in_utf8(name: str) -> str:
    r"""Return a file's name as text of UTF-8: as it is, but for names with bytes that are not UTF-8.

    Of these such bytes are written \xff, and backslashes doubled.
    """
    escaped = name.translate(_BYTES)
    return name if escaped == name else name.translate({**_BYTES, **_BACKSLASH})


def in_a_cell(text: str) -> str:
    r"""Return text as it can stand in a cell of a line: \t, \n, \r, \\, other control characters and odd bytes \x1b."""
    return text.translate(_CELL)


def in_a_message(text: str) -> str:
    r"""Return a message with what a terminal would obey, but for line breaks and tabs, written \x1b."""
    return text.translate(_MESSAGE)
