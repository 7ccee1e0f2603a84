"""Making chapters: one after another, those that matter most first, as long as there is time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from striate.core import clock
from striate.core.errors import StriateError
from striate.explain.chapter import Chapter, Effort
from striate.explain.chapters import RECORDED, most_important_first, write_chapter
from striate.explain.report import mistake
from striate.explain.report.images import drawn
from striate.explain.report.markup import Markup
from striate.explain.report.section import is_drawn, section
from striate.explain.subject import Subject


@dataclass(frozen=True, eq=False)
class Made:
    """A chapter, made.

    Args:
        chapter: What it shows.
        images: Its figures, drawn, by their plates' names.
        section: How it is set in a report.
    """

    chapter: Chapter
    images: dict[str, Image.Image]
    section: Markup


def make(subject: Subject, name: str, effort: Effort, *, for_report_alone: bool = False) -> Made:
    """Return a chapter with its figures drawn.

    Args:
        subject: What it is about.
        name: Of the chapter.
        effort: What it may take.
        for_report_alone: Leave out figures that a report shows in another way.

    Raises:
        StriateError: There is nothing of this kind to show of this subject.
    """
    chapter = write_chapter(name, subject, effort)
    plates = [plate for plate in chapter.plates if not for_report_alone or is_drawn(plate, subject)]
    images = {plate.name: drawn(plate.figure) for plate in plates}
    shown = {plate.name: images[plate.name] for plate in plates if is_drawn(plate, subject)}
    return Made(chapter, images, section(chapter, shown, subject, effort))


def make_within(subject: Subject, names: Sequence[str], until: float) -> Iterator[tuple[str, Made | StriateError]]:
    """Yield quick chapters, or why one cannot be made, until a time; mistakes of ours are told, not raised.

    No chapter is begun that would not be ready if it took as long as the longest so far.

    Args:
        subject: What they are about.
        names: Which, in a report's order.
        until: When to end (`clock.now`).
    """
    longest = 0.0
    for name in most_important_first(names):
        started = clock.now()
        if started + (0.0 if name in RECORDED else longest) > until:
            continue
        made: Made | StriateError
        try:
            made = make(subject, name, "quick", for_report_alone=True)
        except StriateError as error:
            made = error
        except Exception as error:
            made = mistake.told(name, error)
        longest = max(longest, clock.now() - started)
        yield name, made
