"""Names in figures: shown as they are written, and broken or shortened to the room there is."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache

# of what the usual systems have for names in Chinese, Japanese and Korean, which matplotlib's own font lacks
EAST_ASIAN = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
)

OPEN, CLOSE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_LEFTWARDS = frozenset({"R", "AL", "AN"})  # directions of letters and digits that are written from right to left


@cache
def families() -> list[str]:
    """Return the fonts to take letters from, in order: the default one, then what East Asian ones there are."""
    from matplotlib.font_manager import get_font_names  # slow, and not all who print names draw figures

    there = set(get_font_names())
    return ["sans-serif", *(name for name in EAST_ASIAN if name in there)]


def text_width(text: str, size: float) -> float:
    """Return how many inches a line of text takes at a type size in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=families(), size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        width: float = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return width / 72


def printable(text: str) -> str:
    """Return the text in one line, with '�' for the odd bytes of a file name and for control characters.

    What `isolated` sets stays.
    """
    line = " ".join(text.split())
    kept = (OPEN, CLOSE)
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in line)


def isolated(name: str) -> str:
    """Return a name to be set into a sentence; one that is written from right to left leaves the sentence its order."""
    if not any(unicodedata.bidirectional(letter) in _LEFTWARDS for letter in name):
        return name
    return f"{OPEN}{printable(name.replace(OPEN, '').replace(CLOSE, ''))}{CLOSE}"


def told(pattern: str, names: Sequence[str], width: float, size: float, lines: int) -> list[str]:
    """Return a sentence with names in it like `wrapped`; where there is too little room, the names are cut, not it.

    Args:
        pattern: The sentence, with `{}` for each name.
        names: In order; long ones are cut to one width.
        width, size, lines: As of `wrapped`.
    """
    names = [printable(name) for name in names]
    widths = [text_width(name, size) for name in names]
    # a line that breaks between words is at least half full
    room = width * (lines + 1) / 2 - text_width(pattern.format(*[""] * len(names)), size)
    most = room
    for place, wide in enumerate(sorted(widths)):
        most = room / (len(names) - place)
        if wide > most:
            break
        room -= wide
    cut = [
        name if wide <= most else wrapped(name, max(most, text_width("…", size)), size, 1)[0]
        for name, wide in zip(names, widths, strict=True)
    ]
    return wrapped(pattern.format(*map(isolated, cut)), width, size, lines)


def wrapped(text: str, width: float, size: float, lines: int) -> list[str]:
    """Return the text in at most `lines` lines of at most `width` inches, cut with '…' where it is longer.

    Lines break after a space, '-', '_' or '/' where there is one in their second half, else anywhere.
    """
    rest, done = printable(text), list[str]()
    while len(done) < lines - 1 and text_width(rest, size) > width:
        fitting = _fitting(rest, width, size)
        wanted = max(rest.rfind(mark, 0, fitting) for mark in " -_/") + 1
        end = wanted if wanted > fitting / 2 else fitting
        done.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if text_width(rest, size) > width:
        rest = rest[: _fitting(rest, width - text_width("…", size), size)].rstrip() + "…"
    return _closed([*done, rest])


def _closed(lines: Sequence[str]) -> list[str]:
    """Return lines that each hold whole isolates: one that reaches into the next line is set anew there."""
    done, is_open = list[str](), False
    for line in lines:
        line = OPEN + line if is_open else line
        is_open = line.count(OPEN) > line.count(CLOSE)
        done.append(line + CLOSE if is_open else line)
    return done


def _fitting(text: str, width: float, size: float) -> int:
    """Return how many letters fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(text[:middle], size) <= width else (low, middle - 1)
    return low
