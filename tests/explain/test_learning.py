"""How a run learned: gaps and speeds are the metrics', and runs of every kind have a chapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from striate.core.errors import ModelFileError, SettingsError
from striate.explain.chapter import CHAPTERS
from striate.explain.curves import Curve
from striate.explain.learning import curve_table, gap_figure, speed_figure, told
from striate.runs.folder import Run
from striate.runs.snapshots import NAME

from .run_metrics import TRAIN, VAL, lines


def curve(name: str = "first", **changes) -> Curve:
    return Curve(Path(name), name, "digits", 6, lines(**{"train": TRAIN, "val": VAL, **changes}))


def test_the_gap_is_training_less_validation_and_the_best_epoch_has_a_ring() -> None:
    accuracy, loss = gap_figure([curve()]).axes
    wanted = [100 * (t - v) for t, v in zip(TRAIN, VAL, strict=True)]
    assert list(accuracy.lines[0].get_ydata()) == pytest.approx(wanted)
    assert list(loss.lines[0].get_ydata()) == pytest.approx(
        [(1.9 - v) - (2 - t) for t, v in zip(TRAIN, VAL, strict=True)]
    )
    ring = accuracy.lines[1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, pytest.approx(wanted[1]))


def test_accuracy_stands_over_the_time_that_had_passed() -> None:
    speed, accuracy = speed_figure([curve(), curve("second", val=[None] * 4)]).axes
    assert list(speed.lines[0].get_ydata()) == [1000] * 4
    assert list(accuracy.lines[0].get_xdata()) == [1.25, 2.5, 3.75, 5.0]
    assert list(accuracy.lines[0].get_ydata()) == VAL


def test_names_are_shown_as_they_are() -> None:
    figure = gap_figure([curve("_$x$"), curve("b")])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["_$x$", "b", "best validation accuracy"]


def test_what_is_told_is_what_the_metrics_say() -> None:
    sentences = " ".join(told(curve()))
    assert "4 epochs of 40 mini-batches" in sentences
    assert "The best validation accuracy, 0.9200, was that of epoch 2." in sentences
    assert "3.00 points of accuracy ahead of validation" in sentences
    assert "validation" not in " ".join(told(curve(val=[None] * 4)))


def test_long_runs_are_told_by_some_epochs_the_first_and_the_last_among_them() -> None:
    rows = curve_table(curve(train=[0.5] * 300, val=[0.5] * 300)).rows
    assert len(rows) == 40
    assert (rows[0][0], rows[-1][0]) == ("1", "300")


def test_the_chapter_of_a_run(digits_subject) -> None:
    chapter = CHAPTERS["learning"](digits_subject, "quick")
    assert [plate.name for plate in chapter.plates][:3] == ["learning-curves", "learning-gap", "learning-speed"]
    assert chapter.values["epochs"] == 2
    metrics = digits_subject.run.metrics()
    assert chapter.values["steps"] == metrics[-1]["step"]
    kept = (digits_subject.run.path / NAME).exists()
    assert ("learning-embedding" in [plate.name for plate in chapter.plates]) == kept


def test_runs_of_one_epoch_of_a_head_alone_have_a_chapter(digits_subject, make_run) -> None:
    single = replace(digits_subject, run=Run.open(make_run("single", lines([0.5], [0.6]))))
    chapter = CHAPTERS["learning"](single, "full")
    assert not chapter.plates
    assert len(chapter.tables[0].rows) == 1
    assert "A curve takes two epochs" in chapter.text[1]
    head = [{**lines([0.5], [0.6])[0], "epoch": 0, "step": 0, "lr": 0.0}]
    fitted = CHAPTERS["learning"](replace(digits_subject, run=Run.open(make_run("head", head))), "full")
    assert "frozen features" in fitted.text[0]
    assert not fitted.plates


def test_without_a_run_or_an_epoch_it_is_refused_with_a_remedy(digits_subject, make_run) -> None:
    for run in (None, Run.open(make_run("empty", []))):
        with pytest.raises(SettingsError) as caught:
            CHAPTERS["learning"](replace(digits_subject, run=run), "full")
        assert caught.value.fix


def test_metrics_of_which_no_line_can_be_read_are_damaged(digits_subject, make_run) -> None:
    run = Run.open(make_run("garbage", []))
    (run.path / "metrics.jsonl").write_text("garbage\n")
    with pytest.raises(ModelFileError, match="damaged"):
        CHAPTERS["learning"](replace(digits_subject, run=run), "full")


def test_a_run_without_validation_has_no_gap(digits_subject, make_run) -> None:
    run = Run.open(make_run("alone", lines(TRAIN, [None] * 4)))
    chapter = CHAPTERS["learning"](replace(digits_subject, run=run), "quick")
    assert [plate.name for plate in chapter.plates] == ["learning-curves", "learning-speed"]
