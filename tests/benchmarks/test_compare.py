"""The regression check: which ratios fell, by hand-computed shares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.compare import Change, changes, committed, other_machine


def contests(**ratios: dict[str, float]) -> dict[str, Any]:
    machine = {"processor": "one", "cores": 2, "device_name": "one", "torch": "2.15"}
    return {name: {"machine": machine, "ratios": of_it} for name, of_it in ratios.items()}


@pytest.mark.parametrize(
    ("kept", "now", "share", "fell"),
    [
        (40.0, 31.9, 0.2, True),  # 0.8 × 40 = 32
        (40.0, 32.1, 0.2, False),
        (40.0, 35.0, 0.1, True),  # 0.9 × 40 = 36
        (0.5, 0.41, 0.2, False),
        (10.0, 100.0, 0.2, False),
        (None, 1.0, 0.2, False),
        (10.0, None, 0.2, False),
    ],
)
def test_a_ratio_fell_where_less_than_the_rest_is_left(kept, now, share, fell) -> None:
    assert Change("contest", "ratio", kept, now).fell(share) is fell


def test_every_ratio_that_differs_is_found() -> None:
    before = contests(gone={"x": 1.0}, same={"x": 2.0}, other={"x": 3.0, "old": 4.0})
    after = contests(same={"x": 2.0}, other={"x": 6.0, "new": 5.0}, first={"x": 7.0})
    assert changes(before, after) == [
        Change("other", "x", 3.0, 6.0),
        Change("other", "new", None, 5.0),
        Change("other", "old", 4.0, None),
        Change("first", "x", None, 7.0),
        Change("gone", "x", 1.0, None),
    ]


def test_another_machine_is_told() -> None:
    before, after = contests(a={}, b={}), contests(a={}, b={}, c={})
    after["b"]["machine"] = {**after["b"]["machine"], "cores": 4}
    assert other_machine(before, after) == ["b: another machine (cores 2 → 4)"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "race.json").write_text(json.dumps({"contests": contests(a={"x": 10.0}, b={"x": 10.0})}))
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "kept"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(compare, "RESULTS", folder)
    monkeypatch.setattr(sys, "argv", ["compare"])
    return folder


def test_what_is_committed_is_what_is_compared_with(results: Path, capsys) -> None:
    assert compare.main() == 0
    (results / "race.json").write_text(json.dumps({"contests": contests(a={"x": 7.9}, b={"x": 8.1})}))
    (results / "first.json").write_text(json.dumps({"contests": contests(a={"x": 1.0})}))
    assert committed("race.json", "HEAD")["a"]["ratios"] == {"x": 10.0}
    assert committed("first.json", "HEAD") == {}
    capsys.readouterr()
    assert compare.main() == 1
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows == [
        "| first | a | x | – | 1 |  |",
        "| race | a | x | 10 | 7.9 | fell |",
        "| race | b | x | 10 | 8.1 |  |",
        "",
        "1 ratios fell by more than 20 %",
    ]
