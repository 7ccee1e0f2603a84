"""Learning curves: numbers worked out by hand, runs read whether finished or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.core.errors import ModelFileError, SettingsError
from striate.explain.curves import Point, best_epoch, read_curves, steps_to, tell_apart

from .run_metrics import TRAIN, VAL, lines


def test_steps_to_an_accuracy() -> None:
    metrics = lines(TRAIN, VAL)
    assert steps_to(metrics, 0.9) == Point(epoch=2, step=20)
    assert steps_to(metrics, 0.9, "train_accuracy") == Point(epoch=3, step=30), "reached is enough"
    assert steps_to(metrics, 0.5, "train_accuracy") == Point(epoch=1, step=10)
    assert steps_to(metrics, 0.96) is None
    assert steps_to([], 0.1) is None
    assert steps_to(lines(TRAIN, [None] * 4), 0.1) is None
    assert steps_to(lines(TRAIN, [None, 0.3, None, 0.95]), 0.9) == Point(epoch=4, step=40)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 1))
def test_no_epoch_before_had_the_accuracy(values: list[float], accuracy: float) -> None:
    point = steps_to(lines(values, list(values)), accuracy)
    before = values if point is None else values[: point.epoch - 1]
    assert all(value < accuracy for value in before)
    assert point is None or values[point.epoch - 1] >= accuracy


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch(lines(TRAIN, VAL)) == Point(epoch=2, step=20)
    assert best_epoch(lines(TRAIN, [None, None, 0.1, None])) == Point(epoch=3, step=30)
    assert best_epoch(lines(TRAIN, [None] * 4)) is None


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x/r", "/a/y/r", "/a/y/s"], ["x/r", "y/r", "s"]),
        (["/a/b/r", "/c/b/r"], ["a/b/r", "c/b/r"]),
        (["digits", "digits"], ["digits", "digits"]),
        (["cifar10:cat,dog", "/p/photos", "/q/photos"], ["cifar10:cat,dog", "p/photos", "q/photos"]),
        (["/r", "/a/r"], ["/r", "a/r"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(paths: list[str], names: list[str]) -> None:
    assert tell_apart([Path(path) for path in paths]) == names


def test_runs_are_read_whether_finished_or_not(make_run, monkeypatch, tmp_path: Path) -> None:
    first, second = make_run("one/r", lines(TRAIN, VAL)), make_run("two/r", lines(TRAIN[:1], [None]), "mnist")
    with open(second / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "st')  # as while the line is being written
    monkeypatch.chdir(tmp_path)
    curves = read_curves([first, second, Path("one/r")])
    assert [(c.name, c.data, c.epochs, len(c.metrics)) for c in curves] == [
        ("one/r", "digits", 6, 4),
        ("two/r", "mnist", 6, 1),
    ]
    assert curves[0].seconds == 5.0


def test_what_cannot_be_read_is_told(make_run, tmp_path: Path) -> None:
    good, empty = make_run("good", lines(TRAIN, VAL)), make_run("empty", [])
    with pytest.raises(SettingsError, match=r"no epoch of this run is done yet.*empty"):
        read_curves([good, empty])
    with pytest.raises(SettingsError, match="not a run folder"):
        read_curves([tmp_path])
    other = make_run("other", [{"epoch": 1, "step": 3}])
    with pytest.raises(ModelFileError, match=r"no lr, train_loss.*other"):
        read_curves([other])
