"""Budgets kept or not, and more accuracy for more time: hand-made runs whose verdict is plain."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import budget, contest
from benchmarks.budget import worst_share
from benchmarks.contest import ProgramError, TrainRun
from striate.core.duration import read_duration
from striate.core.settings import TrainSettings

WALLS = {"20s": [19.0, 21.0, 22.5], "1m": [55.0, 60.0, 61.0], "5m": [290.0, 291.0, 269.0]}
ACCURACIES = {"20s": [0.90, 0.91, 0.92], "1m": [0.93, 0.93, 0.93], "5m": [0.91, 0.93, 0.94]}


@pytest.mark.parametrize(
    ("walls", "time", "share"),
    [([19.0, 20.5], "20s", 0.95), ([59.0, 66.0], "1m", 1.1), ([300.0], "5m", 1.0), ([15.0, 24.0], "20s", 0.75)],
)
def test_the_worst_share_is_the_farthest_on_either_side(walls, time, share) -> None:
    assert worst_share(walls, time) == pytest.approx(share)


def test_budgets_grow_and_are_settings() -> None:
    seconds = [read_duration(time) for time in budget.BUDGETS]
    assert seconds == [20, 60, 300]
    assert [TrainSettings.parse({"time_budget": time}).time_budget for time in budget.BUDGETS] == seconds


@pytest.fixture
def trained(tmp_path: Path, monkeypatch) -> list[dict[str, object]]:
    """Put hand-made runs in the place of `striate train`, and return the list of what is asked of it."""
    asked: list[dict[str, object]] = []

    def train(data: str, settings: dict[str, object], seed: int) -> TrainRun:
        asked.append(settings)
        time = str(settings["time_budget"])
        return TrainRun(seed, WALLS[time][seed], 10.0, ACCURACIES[time][seed], 100, 50.0, 3, "fp32")

    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(contest, "striate_train", train)
    return asked


def test_a_row_says_whether_the_time_was_kept_and_used(trained, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["budget", "--only", "mnist"])
    budget.main()
    said = capsys.readouterr()
    assert said.out.splitlines()[2:] == [
        "| mnist | 20s | 21.0 s (at worst 112.5 %) | no | 3 | 0.9100 ± 0.0100 | – |",
        "| mnist | 1m | 60.0 s (at worst 91.7 %) | yes | 3 | 0.9300 ± 0.0000 | yes |",
        "| mnist | 5m | 290.0 s (at worst 89.7 %) | no | 3 | 0.9267 ± 0.0153 | no |",
    ]
    assert [asked["time_budget"] for asked in trained] == ["20s", "1m", "5m"] * 3
    contests = json.loads((tmp_path / "budget.json").read_text())["contests"]
    assert contests["mnist"]["ratios"] == {}
    budgets = contests["mnist"]["budgets"]
    assert [one["in_time"] for one in budgets.values()] == [False, True, False]
    assert [one["better"] for one in budgets.values()] == [None, True, False]
    assert [run["wall_s"] for run in budgets["1m"]["runs"]] == WALLS["1m"]


@pytest.mark.parametrize(("status", "refused"), [(2, True), (3, False)])
def test_a_time_that_is_too_short_is_told(status, refused, trained, monkeypatch, capsys) -> None:
    train = contest.striate_train

    def refuse(data: str, settings: dict[str, object], seed: int) -> TrainRun:
        if settings["time_budget"] == "1m" and seed == 1:
            raise ProgramError(["striate", "train"], status)
        return train(data, settings, seed)

    monkeypatch.setattr(contest, "striate_train", refuse)
    monkeypatch.setattr(sys, "argv", ["budget", "--only", "mnist"])
    if not refused:
        with pytest.raises(SystemExit, match="exit status 3: striate train"):
            budget.main()
        return
    budget.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[1] == "| mnist | 1m | refused as too short | no | – | – | – |"
    assert rows[2].endswith("| 0.9267 ± 0.0153 | yes |"), "than the next smaller that was not refused"


@pytest.mark.parametrize(
    ("size", "settings"), [("--quick", {"time_budget": "20s"}), ("--rehearsal", {"time_budget": "20s", "first": 200})]
)
def test_short_forms_take_the_least_time(size, settings, trained, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["budget", size])
    budget.main()
    assert trained == [settings]
    assert (tmp_path / "budget-quick.json").exists() == (size == "--quick")
