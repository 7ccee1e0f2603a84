"""All chapters there are, in the order in which a report sets them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from striate import explain
from striate.explain.chapter import CHAPTERS, Chapter, Effort
from striate.explain.subject import Subject

ORDER = (
    "summary",
    "plan",
    "learning",
    "confusion",
    "classes",
    "calibration",
    "mistakes",
    "saliency",
    "shortcuts",
    "filters",
    "feature-maps",
    "channels",
    "synthesis",
    "embedding",
    "robustness",
    "network",
    "cost",
    "movement",
)
LAST = ("data", "settings")
RECORDED = ("summary", "plan", "confusion", "classes", "data", "settings")  # in no time: the network is not asked


@cache
def chapter_names() -> tuple[str, ...]:
    """Return the names of all chapters that files of this room register, in the order of a report."""
    room = Path(explain.__path__[0])
    for file in sorted(room.rglob("*.py")):
        parts = file.relative_to(room).with_suffix("").parts
        import_module(".".join([explain.__name__, *(part for part in parts if part != "__init__")]))
    others = sorted({*CHAPTERS} - {*ORDER, *LAST})
    return tuple(name for name in (*ORDER, *others, *LAST) if name in CHAPTERS)


def chosen_names(only: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chapters that were asked for, each once, in the order of a report; all by default.

    Raises:
        SettingsError: There is no such chapter; the message names the nearest.
    """
    known = chapter_names()
    for name in only or ():
        CHAPTERS[name]
    return tuple(name for name in known if not only or name in only)


def write_chapter(name: str, subject: Subject, effort: Effort) -> Chapter:
    """Return a chapter by its name.

    Raises:
        StriateError: There is no such chapter, or nothing of this kind to show of this subject.
    """
    chapter_names()
    return CHAPTERS[name](subject, effort)


def most_important_first(names: Sequence[str]) -> tuple[str, ...]:
    """Return chapters in the order in which a report that has little time takes them up."""
    return tuple(sorted(names, key=lambda name: name not in RECORDED))
