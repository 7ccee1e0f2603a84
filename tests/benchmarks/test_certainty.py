"""The benchmark of certainty: its figures are those of the run's evaluation, and a promise is kept or not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import certainty, contest
from benchmarks.certainty import Certainty, read_certainty
from striate.core.settings import TrainSettings


def evaluation(count: int = 800, correct: int = 796) -> dict[str, object]:
    """As evaluation.json has a part of 1,000 pictures; the interval is not a true one."""
    share = correct / count if count else None
    accepted = {"count": count, "coverage": count / 1000, "correct": correct, "accuracy": share}
    return {
        "accuracy": 0.9,
        "calibration": {"before": {"ece": 0.05}, "after": {"ece": 0.02}},
        "accepted": {**accepted, "interval_95": [0.98, 0.999]},
    }


def test_errors_are_what_is_not_right_and_so_is_their_interval() -> None:
    found = read_certainty(evaluation(), seed=3)
    assert (found.seed, found.accuracy, found.accepted) == (3, 0.9, 0.8)
    assert (found.ece_before, found.ece_after) == (0.05, 0.02)
    assert found.error == pytest.approx(4 / 800)
    assert found.error_interval_95 == pytest.approx((0.001, 0.02))


@pytest.mark.parametrize(
    ("count", "correct", "kept"), [(800, 796, True), (800, 792, True), (800, 791, False), (0, 0, True)]
)
def test_the_promise_is_one_wrong_answer_in_a_hundred(count, correct, kept) -> None:
    assert read_certainty(evaluation(count, correct), 0).keeps_the_promise is kept


def test_its_settings_are_settings() -> None:
    settings = TrainSettings.parse(certainty.SETTINGS)
    assert (settings.epochs, settings.error_rate) == (1, certainty.ERROR_RATE)


def test_a_row_for_each_seed_and_the_share_that_keeps_the_promise(tmp_path: Path, monkeypatch, capsys) -> None:
    def measured(options, seed: int) -> Certainty:
        return read_certainty(evaluation(correct=796 if seed else 780), seed)

    (tmp_path / "fashion-mnist").mkdir()
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(certainty, "measure", measured)
    monkeypatch.setattr(sys, "argv", ["certainty", "--rounds", "4"])
    certainty.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[0] == "| 0 | 0.9000 | 0.0500 | 0.0200 | 80.0 % | 2.50 % (0.10–2.00) | no |"
    assert rows[1] == "| 1 | 0.9000 | 0.0500 | 0.0200 | 80.0 % | 0.50 % (0.10–2.00) | yes |"
    kept = json.loads((tmp_path / "certainty.json").read_text())["contests"]["fashion-mnist"]
    assert kept["kept"] == 0.75
    assert len(kept["runs"]) == 4
