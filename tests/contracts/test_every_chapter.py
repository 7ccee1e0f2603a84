"""Every chapter there is, on subjects of every kind: fit to be shown, and nothing of the network is changed by it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from striate import explain
from striate.core.errors import StriateError
from striate.explain.chapter import Chapter
from striate.explain.chapters import FILES, RECORDED, write_chapter
from striate.explain.report.images import drawn, png
from striate.explain.report.making import make
from striate.explain.subject import Subject
from striate.runs.model_file import weights_digest

from ..explain.page_reader import PageReader
from .chapters import SUBJECTS

LARGEST = 400_000  # bytes of a figure's file
LEAST_TYPE = 5.0  # points
TELL_TIMES = ("network", "cost")

every_chapter = pytest.mark.parametrize("name", FILES)


@pytest.fixture(scope="module")
def subject_of(tmp_path_factory):
    @cache
    def made(kind: str) -> Subject:
        return SUBJECTS[kind](tmp_path_factory.mktemp("subjects"))

    return made


@pytest.fixture(params=[(kind, name) for kind in SUBJECTS for name in FILES], ids=" ".join, scope="module")
def pair(request, subject_of) -> tuple[Subject, str]:
    kind, name = request.param
    return subject_of(kind), name


def chapter_of(subject: Subject, name: str) -> Chapter | StriateError:
    try:
        return write_chapter(name, subject, "quick")
    except StriateError as error:
        return error


def state_of(subject: Subject) -> tuple[object, ...]:
    """Return all that a chapter could change of a network: weights, mode, hooks, gradients, what needs them."""
    tensors = {name: tensor.detach().cpu() for name, tensor in subject.model.state_dict().items()}
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        weights_digest(tensors),
        [module.training for module in subject.model.modules()],
        sum(len(getattr(module, kind)) for module in subject.model.modules() for kind in hooks),
        [(parameter.requires_grad, parameter.grad is None) for parameter in subject.model.parameters()],
        subject.pictures.fingerprint(),
    )


def test_a_chapter_is_fit_to_be_shown_and_changes_nothing(pair):
    subject, name = pair
    before = state_of(subject)
    chapter = chapter_of(subject, name)
    assert state_of(subject) == before
    if isinstance(chapter, StriateError):
        assert chapter.fix, "what is refused names a remedy"
        return
    assert chapter.name == name
    assert chapter.title
    assert chapter.text or chapter.plates or chapter.tables
    names = [plate.name for plate in chapter.plates]
    assert len(set(names)) == len(names)
    for plate in chapter.plates:
        assert re.fullmatch(r"[\w.-]+", plate.name), "it is the name of a file"
        assert plate.alt
        assert plate.caption
    for table in chapter.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(isinstance(cell, str) for row in table.rows for cell in row)
    assert json.loads(json.dumps(dict(chapter.values), allow_nan=False)) is not None
    for sentence in [*chapter.text, *chapter.warnings]:
        assert isinstance(sentence, str)
        assert sentence


def test_a_chapters_figures_can_be_drawn_and_set(pair):
    subject, name = pair
    try:
        made = make(subject, name, "quick", for_report_alone=True)
    except StriateError:
        return
    reader = PageReader(made.section)
    assert len(reader.ids) == len(set(reader.ids))
    assert all(one == name or one.startswith(f"{name}-") for one in reader.ids)
    for plate in made.chapter.plates:
        if plate.name in made.images:
            assert len(png(made.images[plate.name], plate.figure.dpi)) < LARGEST
            sizes = [text.get_fontsize() for text in plate.figure.findobj(match=is_text) if text.get_text().strip()]
            assert all(size >= LEAST_TYPE for size in sizes), min(sizes)


def is_text(artist: object) -> bool:
    from matplotlib.text import Text

    return isinstance(artist, Text) and artist.get_visible()


@pytest.fixture(scope="module")
def of_a_run(subject_of) -> dict[str, Chapter | StriateError]:
    return {name: chapter_of(subject_of("digits"), name) for name in FILES}


@every_chapter
def test_every_chapter_can_be_made_of_a_run(of_a_run, name):
    assert isinstance(of_a_run[name], Chapter), of_a_run[name]


def test_no_two_figures_of_a_report_have_one_name(of_a_run):
    names = [plate.name for chapter in of_a_run.values() if isinstance(chapter, Chapter) for plate in chapter.plates]
    assert len(set(names)) == len(names)


@every_chapter
def test_the_same_subject_gives_the_same_figures(of_a_run, subject_of, name):
    if name in TELL_TIMES:
        return
    first, second = of_a_run[name], chapter_of(subject_of("digits"), name)
    assert isinstance(first, Chapter)
    assert isinstance(second, Chapter)
    for one, other in zip(first.plates, second.plates, strict=True):
        assert drawn(one.figure).tobytes() == drawn(other.figure).tobytes()


def test_recorded_chapters_are_chapters():
    assert set(RECORDED) <= set(FILES)


def test_every_chapter_that_a_file_registers_is_found():
    room = Path(explain.__path__[0])
    found = {
        name for file in room.rglob("*.py") for name in re.findall(r'@CHAPTERS\.register\("(.+?)"\)', file.read_text())
    }
    assert found == set(FILES)
