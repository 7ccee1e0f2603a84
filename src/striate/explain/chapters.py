"""All chapters there are, in the order in which a report sets them, each with the file that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from striate.core.errors import SettingsError
from striate.core.registry import nearest
from striate.explain.chapter import CHAPTERS, Chapter, Effort
from striate.explain.subject import Subject

FILES = {
    "summary": "record.summary",
    "plan": "record.plan",
    "learning": "learning",
    "confusion": "record.confusion",
    "classes": "record.classes",
    "calibration": "record.calibration",
    "mistakes": "mistakes",
    "saliency": "saliency.chapter",
    "shortcuts": "saliency.shortcut_chapter",
    "filters": "filters",
    "feature-maps": "feature_maps",
    "channels": "channels",
    "embedding": "embedding.chapter",
    "robustness": "robustness",
    "network": "network",
    "data": "record.data",
    "settings": "record.settings",
}
OF_PICTURES = ("saliency", "feature-maps", "embedding", "robustness")  # they show pictures that a user names
RECORDED = ("summary", "plan", "confusion", "classes", "data", "settings")  # in no time: the network is not asked


def chosen_names(only: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chapters that were asked for, each once, in the order of a report; all by default.

    Raises:
        SettingsError: There is no such chapter, whereof the message names the nearest, or none was named.
    """
    if only is not None and not any(name.strip() for name in only):
        raise SettingsError(
            "no chapter is named", where="only", fix=f"leave it out, or name some of {', '.join(FILES)}"
        )
    for name in only or ():
        if name not in FILES:
            guess = nearest(name, FILES)
            hint = f"did you mean '{guess}'? " if guess else ""
            raise SettingsError("unknown chapter", where=name or "''", fix=f"{hint}Known: {', '.join(FILES)}")
    return tuple(name for name in FILES if only is None or name in only)


def write_chapter(name: str, subject: Subject, effort: Effort) -> Chapter:
    """Return a chapter by its name.

    Raises:
        StriateError: There is nothing of this kind to show of this subject.
    """
    import_module(f"striate.explain.{FILES[name]}")  # where it is registered; others are not needed
    return CHAPTERS[name](subject, effort)


def most_important_first(names: Sequence[str]) -> tuple[str, ...]:
    """Return chapters in the order in which a report that has little time takes them up."""
    return tuple(sorted(names, key=lambda name: name not in RECORDED))
