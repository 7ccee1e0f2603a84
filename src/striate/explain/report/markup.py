"""HTML that is right by construction: every text and attribute is escaped where it is set, once."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

VOID = frozenset({"br", "img", "link", "meta"})
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # change the direction of what follows
_KEPT = frozenset("\t\n")
# a name set apart by lettering.isolated: it ends where it says, so it turns nothing else
_ISOLATED = re.compile("\u2068([^\u202a-\u202e\u2066-\u2069]*)\u2069")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Iterable["Content"]


def readable(text: str) -> str:
    """Return text with '�' for what no page can show: control characters, odd bytes, turns of the writing direction.

    Letters of every script stay, and so do what joins emoji and names that are set apart.
    """
    if text.isascii() and text.isprintable():
        return text
    parts = _ISOLATED.split(text)  # names at odd places
    return "".join(f"\u2068{_shown(part)}\u2069" if number % 2 else _shown(part) for number, part in enumerate(parts))


def _shown(text: str) -> str:
    return "".join("\N{REPLACEMENT CHARACTER}" if _odd(letter) else letter for letter in text)


def _odd(letter: str) -> bool:
    if letter.isascii():
        return not letter.isprintable() and letter not in _KEPT
    return letter in _TURNS or unicodedata.category(letter) in ("Cc", "Cs", "Cn")


def escaped(text: str) -> Markup:
    """Return text as HTML that shows it literally, in elements and in quoted attributes; markup as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(readable(text), quote=True))


def joined(content: Content) -> Markup:
    """Return texts and markup, nested or not, as one piece of HTML."""
    if isinstance(content, str):
        return escaped(content)
    return Markup("".join(joined(part) for part in content))


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """Return an element.

    Args:
        name: Of the element.
        content: What is in it.
        attributes: By name, with '_' for '-' and at the end of Python's own words (`class_`); True for one without
            a value, None or False for one that is not there.
    """
    settings = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        settings.append(
            f" {attribute}"
            if value is True
            else f' {attribute}="{escaped(value if isinstance(value, str) else str(value))}"'
        )
    opened = f"<{name}{''.join(settings)}>"
    if name in VOID:
        assert not content
        return Markup(opened)
    return Markup(f"{opened}{joined(content)}</{name}>")


def named(text: str) -> Markup:
    """Return a name that its users gave, kept apart from the writing direction around it.

    Of a sentence with names in it that are set apart already, each of these: `bdi` would take the sentence's direction
    from the first of them.
    """
    parts = _ISOLATED.split(text)  # names at odd places
    if len(parts) == 1:
        return tag("bdi", text)
    return joined(tag("bdi", part) if number % 2 else part for number, part in enumerate(parts))


def wide(content: Content, label: str) -> Markup:
    """Return content that scrolls by itself where the page is narrower, reached by the keyboard too."""
    return tag("div", content, class_="wide", tabindex=0, role="region", aria_label=label)
