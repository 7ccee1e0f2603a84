"""Courses of accuracy over time: sums by hand, and the same settings for every program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import contest, course
from benchmarks.contest import Finished, TrainRun
from benchmarks.course import typical
from striate.core.settings import TrainSettings


def test_a_course_counts_from_the_process_and_leaves_measuring_out() -> None:
    said = {
        "start_s": 8.5,
        "training_s": [10.0, 12.25, 10.0],
        "test_accuracy": [0.8, 0.85, 0.84],
        "seconds": [99.0] * 3,
    }
    assert course.course(said) == [(18.5, 0.8), (30.75, 0.85), (40.75, 0.84)]
    with pytest.raises(ValueError, match="argument"):
        course.course({**said, "test_accuracy": [0.8]})


def test_the_typical_course_is_the_median_point_by_point() -> None:
    rounds = [[(10.0, 0.8), (20.0, 0.9)], [(14.0, 0.7), (22.0, 0.91)], [(11.0, 0.75), (90.0, 0.92)]]
    assert typical(rounds) == [(11.0, 0.75), (22.0, 0.91)]
    assert typical(rounds[:1]) == rounds[0]


def test_names_say_the_budgets_that_are_given() -> None:
    for name, budget in course.BUDGETS.items():
        number, unit = name.split()
        assert TrainSettings.parse({"time_budget": budget}).time_budget == int(number) * {"s": 1, "min": 60}[unit]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch) -> list[tuple[object, ...]]:
    """Put hand-made runs in the place of all programs, and return the list of what they are given."""
    given: list[tuple[object, ...]] = []

    def run(module: str, *arguments: object) -> Finished:
        given.append((module, *arguments))
        epochs = int(str(arguments[arguments.index("--epochs") + 1]))
        accuracies = [0.8 + 0.1 * epoch / epochs for epoch in range(epochs)]
        return Finished(500.0, {"start_s": 5.0, "training_s": [20.0] * epochs, "test_accuracy": accuracies})

    def train(data: str, settings: dict[str, object], seed: int) -> TrainRun:
        given.append((data, settings))
        return TrainRun(seed, 60.0, 50.0, 0.92, 100, 50.0, 7, "fp32")

    (tmp_path / "fashion-mnist").mkdir()
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(course, "run_program", run)
    for module in (course, contest):
        monkeypatch.setattr(module, "striate_train", train)
    monkeypatch.setattr(course, "PROGRAMS", {"document": ["a.document"], "Keras": ["in.keras", "network"]})
    monkeypatch.setattr(course, "PACKAGES", {"document": "torch", "Keras": "no_such_package"})
    return given


def test_all_run_as_long_as_each_other_and_what_is_not_here_is_left_out(
    programs, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["course"])
    course.main()
    said = capsys.readouterr()
    assert "no_such_package is left out" in said.err
    assert said.out.splitlines()[2:4] == [
        "| document | 15 | 25.0 s: 0.8000 | 305.0 s: 0.8933 |",  # 5 + 15 · 20; 0.8 + 0.1 · 14/15
        "| Striate, no option | 7 | – | 60.0 s: 0.9200 |",
    ]
    assert programs[0] == ("a.document", tmp_path / "fashion-mnist", "--epochs", "15", "--seed", "0")
    budgets = ["20s", "1m", "2m", "5m"]
    assert [settings for _, settings in programs[1:]] == [{}, *({"time_budget": budget} for budget in budgets)]
    kept = json.loads((tmp_path / "course.json").read_text())["contests"]["fashion-mnist"]
    assert list(kept["courses"]) == ["document"]
    assert kept["courses"]["document"][0][:2] == [[25.0, 0.8], [45.0, pytest.approx(0.8 + 0.1 / 15)]]
    assert {setting: course.end(runs) for setting, runs in kept["striate"].items()} == dict.fromkeys(
        ["no option", "20 s", "1 min", "2 min", "5 min"], (60.0, 0.92)
    )


def test_a_time_that_is_refused_is_left_out(programs, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(course, "striate_within", lambda *given: None)
    monkeypatch.setattr(sys, "argv", ["course", "--quick"])
    course.main()
    assert capsys.readouterr().out.splitlines()[3] == "| Striate, 20 s | – | – | refused as too short |"
    kept = json.loads((tmp_path / "course-quick.json").read_text())["contests"]["fashion-mnist"]
    assert kept["striate"] == {"20 s": []}


@pytest.mark.parametrize(
    ("size", "epochs", "settings"),
    [
        ("--quick", ["--epochs", "2", "--seed", "0"], [{"time_budget": "20s"}]),
        (
            "--rehearsal",
            ["--epochs", "1", "--seed", "0", "--first", "200"],
            [{"first": 200, "epochs": 1}, {"time_budget": "20s", "first": 200}],
        ),
    ],
)
def test_short_forms(size, epochs, settings, programs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["course", size])
    course.main()
    assert list(programs[0][2:]) == epochs
    assert [given for _, given in programs[1:]] == settings
    assert (tmp_path / "course-quick.json").exists() == (size == "--quick")
