"""The report after training: within its time, and never at the cost of the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import striate
from striate.cli.main import main
from striate.core.errors import DataError
from striate.explain.chapter import CHAPTERS, Chapter
from striate.explain.chapters import RECORDED, chosen_names, most_important_first
from striate.explain.report import after_training, making
from striate.explain.report.making import Made, make_within
from striate.explain.report.page import NAME
from striate.runs.spent import Spent
from striate.training.job import Job, prepare, resume

from .page_reader import check_page

QUICK = {"epochs": 1, "first": 100, "precision": "fp32", "device": "cpu"}


@pytest.fixture
def clock(monkeypatch):
    """A clock of our own: seconds pass when a chapter says so."""

    class Clock:
        time = 0.0

        def now(self) -> float:
            return self.time

    clock = Clock()
    monkeypatch.setattr(making, "clock", clock)
    return clock


@pytest.fixture
def chapters(monkeypatch, clock):
    """Make every chapter take 2 seconds; what is recorded takes no time."""
    begun: list[str] = []

    def write(name: str, subject, effort) -> Chapter:
        begun.append(name)
        clock.time += 0.0 if name in RECORDED else 2.0
        return Chapter(name, name.title(), ["something"])

    monkeypatch.setattr(making, "write_chapter", write)
    return begun


NAMES = ["summary", "learning", "confusion", "saliency", "filters", "data", "settings"]


def test_what_is_recorded_comes_first_and_what_does_not_fit_is_left_out(digits_subject, chapters):
    made = dict(make_within(digits_subject, NAMES, 4.0))
    assert list(made) == chapters == ["summary", "confusion", "data", "settings", "learning", "saliency"]
    assert all(isinstance(one, Made) for one in made.values())


def test_nothing_is_begun_that_would_not_be_ready(digits_subject, chapters, clock):
    list(make_within(digits_subject, NAMES, 3.9))
    assert chapters[-1] == "learning"
    assert clock.time == 2.0


def test_the_order_of_importance_keeps_the_order_of_the_page():
    names = chosen_names(None)
    first = most_important_first(names)
    assert set(first) == set(names)
    cut = len([name for name in names if name in RECORDED])
    assert first[:cut] == chosen_names(RECORDED)


@pytest.mark.parametrize(("training", "seconds"), [(1, 3), (6, 3), (10, 5), (20, 10), (100, 10), (600, 60)])
def test_a_report_takes_a_tenth_of_the_training_or_ten_seconds(training, seconds):
    assert after_training.time_for(training) == pytest.approx(seconds)
    assert seconds <= max(training / 10, 10)


def test_training_leaves_a_report(reports, tmp_path: Path):
    run = striate.train("digits", out=tmp_path, name="r", **QUICK)
    reader = check_page((run.path / "report.html").read_text())
    assert "summary" in reader.ids
    assert run.is_finished
    assert not list(run.path.glob("*.tmp-*"))
    without = striate.train("digits", out=tmp_path, name="w", report=False, **QUICK)
    assert not (without.path / "report.html").exists()
    assert without.model_path.read_bytes() == run.model_path.read_bytes(), "the report changes nothing"


def finished(folder: Path, **settings: object) -> Job:
    from striate.core.settings import TrainSettings

    values = {**QUICK, **settings}
    job = prepare("digits", TrainSettings.parse(values, where="test"), given=frozenset(values), out=folder, name="j")
    job.complete()
    return job


def test_a_resumed_run_has_a_report_too(report_on, reports, tmp_path):
    job = finished(tmp_path)
    job.run.model_path.unlink()
    assert report_on(again := resume_and_finish(job.run.path)) == job.run.path / "report.html"
    assert again.run.notes == []


def resume_and_finish(path: Path) -> Job:
    job = resume(path, {})
    job.complete()
    job.run.notes.clear()
    return job


def test_without_held_out_pictures_the_report_is_of_training_pictures_and_says_so(report_on, reports, tmp_path):
    job = finished(tmp_path, val_share=0.0)
    job.measured = {}
    path = report_on(job)
    text = check_page(path.read_text()).text
    assert "the pictures it was trained on" in text


def test_a_chapter_that_cannot_be_made_is_told_and_the_run_stays_finished(report_on, monkeypatch, tmp_path):
    job = finished(tmp_path)

    def refused(subject, effort):
        raise DataError("nothing <to> see", where="here", fix="look elsewhere")

    def mistaken(subject, effort):
        raise ZeroDivisionError("our own")

    monkeypatch.setitem(CHAPTERS._entries, "classes", refused)
    monkeypatch.setitem(CHAPTERS._entries, "summary", mistaken)
    job.run.notes.clear()
    path = report_on(job)
    assert path is not None
    text = check_page(path.read_text()).text
    assert "nothing <to> see: here" in text
    assert "our own mistake: ZeroDivisionError: our own: chapter summary" in text
    told = "\n".join(job.run.notes)
    assert "report without classes: nothing <to> see" in told
    assert "report without summary: our own mistake" in told
    assert striate.load(job.run.path)


def test_mistakes_of_ours_are_raised_where_tests_look(report_on, reports, monkeypatch, tmp_path):
    job = finished(tmp_path)

    def mistaken(subject, effort):
        raise ZeroDivisionError("our own")

    monkeypatch.setitem(CHAPTERS._entries, "summary", mistaken)
    with pytest.raises(ZeroDivisionError):
        report_on(job)


def test_a_report_that_cannot_be_written_is_a_note(report_on, tmp_path):
    job = finished(tmp_path)
    (job.run.path / "report.html").mkdir()
    job.run.notes.clear()
    assert report_on(job) is None
    (note,) = job.run.notes
    assert "no report: " in note
    assert "report.html" in note
    assert job.run.is_finished


def test_a_time_budget_leaves_what_is_left_of_it(tmp_path, monkeypatch):
    class Budget:
        seconds = 100.0

        def used(self) -> float:
            return 97.0

    class Finished:
        run = SimpleNamespace(spent=Spent(0.0))
        budget = Budget()

    monkeypatch.setattr(after_training.clock, "now", lambda: 97.0)
    assert after_training._seconds(Finished()) == pytest.approx(5.0)  # a twentieth
    Budget.used = lambda self: 92.0
    assert after_training._seconds(Finished()) == pytest.approx(8.0)  # what is left
    Budget.used = lambda self: 20.0
    assert after_training._seconds(Finished()) == pytest.approx(10.0)


def test_explaining_a_run_keeps_the_chapters_made_after_training(report_on, reports, tmp_path):
    job = finished(tmp_path)
    report_on(job)
    path = job.run.path
    before = set(check_page((path / NAME).read_text()).ids)
    assert main(["explain", str(path), "--only", "settings", "--device", "cpu"]) == 0
    assert before <= set(check_page((path / NAME).read_text()).ids)
