"""What the benchmarks share: turns, processes, options, and what is kept."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import contest
from benchmarks.contest import (
    as_options,
    data_folder,
    in_own_process,
    in_turn,
    is_here,
    is_installed,
    keep,
    kept,
    print_header,
    print_row,
    read_options,
    result_file,
    run_program,
    times,
)


def test_contestants_take_turns() -> None:
    calls: list[tuple[str, int]] = []

    def contestant(name: str):
        def run(number: int) -> str:
            calls.append((name, number))
            return f"{name}{number}"

        return run

    assert in_turn({"a": contestant("a"), "b": contestant("b")}, 2) == {"a": ["a0", "a1"], "b": ["b0", "b1"]}
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_a_ratio_is_taken_within_each_round() -> None:
    # a round in which everything took ten times longer changes nothing; by hand: 20/5, 30/10, 400/80
    assert times([20.0, 30.0, 400.0], [5.0, 10.0, 80.0]) == 4.0
    with pytest.raises(ValueError, match="argument"):
        times([1.0], [1.0, 2.0])


def test_settings_become_options() -> None:
    settings = {"val_share": 0.0, "identity": True, "flip": False, "stem": "whitened"}
    assert as_options(settings) == ["--val-share", "0.0", "--identity", "--no-flip", "--stem", "whitened"]


@pytest.fixture
def program(tmp_path: Path) -> str:
    text = "import json, os, sys\nprint('noise')\nprint(json.dumps([sys.argv[1:], os.environ['SAID']]))\n"
    (tmp_path / "speaker.py").write_text(text + "sys.exit(int(sys.argv[1]))\n")
    return str(tmp_path)


def test_a_program_is_timed_and_its_last_line_read(program: str) -> None:
    done = run_program("speaker", 0, "x y", PYTHONPATH=program, SAID="so")
    assert done.said == [["0", "x y"], "so"]
    assert 0 < done.wall_s < 60


def test_a_program_that_fails_ends_the_benchmark(program: str) -> None:
    with pytest.raises(SystemExit, match=r"exit status 3: .*speaker 3"):
        run_program("speaker", 3, PYTHONPATH=program, SAID="")


def test_a_function_runs_in_a_process_of_its_own() -> None:
    assert in_own_process(os.getpid) not in (os.getpid(), os.getppid())


@pytest.mark.parametrize(
    ("given", "names", "rounds", "size"),
    [
        ([], ["a", "b", "c"], 4, "full"),
        (["--quick"], ["b"], 1, "quick"),
        (["--rehearsal"], ["a", "b", "c"], 1, "rehearsal"),
        (["--only", "c", "a", "--rounds", "2"], ["a", "c"], 2, "full"),
        (["--quick", "--only", "c", "--rounds", "2"], ["c"], 2, "quick"),
    ],
)
def test_options_say_what_runs(given, names, rounds, size, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *given])
    options = read_options("A benchmark.", ["a", "b", "c"], quick=["b"], rounds=4)
    assert (options.names, options.rounds, options.size) == (names, rounds, size)
    assert bool(options.small) == (size == "rehearsal")


def test_unknown_contests_are_refused(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "--only", "d"])
    with pytest.raises(SystemExit):
        read_options("A benchmark.", ["a"], quick=[])
    assert "invalid choice: 'd'" in capsys.readouterr().err


def test_what_is_not_here_is_left_out_by_name(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    (tmp_path / "some-set").mkdir()
    assert data_folder("some-set:cat,dog") == tmp_path / "some-set"
    assert is_here("some-set")
    assert not is_here("no-such-set")
    assert is_installed("json")
    assert not is_installed("no_such_package")
    left_out = capsys.readouterr().err.splitlines()
    assert [line.split(" is ")[0] for line in left_out] == ["no-such-set", "no_such_package"]


def test_a_contest_is_kept_in_the_place_of_the_older_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    assert kept("race", "full") == {}
    (tmp_path / "race.json").write_text('{"runs": "in another form"}')
    keep("race", "full", "a", {"x": 12.3456, "y": 0.0012345}, wall_s=1)
    keep("race", "full", "b", {})
    keep("race", "full", "a", {"x": 20.0})
    keep("race", "quick", "a", {"x": 12.3456})
    keep("race", "rehearsal", "a", {"x": 1.0})
    assert {file.name for file in tmp_path.iterdir()} == {"race.json", "race-quick.json"}
    assert kept("race", "full")["a"]["ratios"] == {"x": 20.0}
    assert kept("race", "quick")["a"]["ratios"] == {"x": 12.3}  # three digits
    content = json.loads(result_file("race", "full").read_text())
    assert content["command"] == "python -m benchmarks.race"
    assert set(content["contests"]) == {"a", "b"}
    assert content["contests"]["b"]["machine"]["cores"] == os.cpu_count()


def test_tables_are_markdown(capsys) -> None:
    print_header("way", "images/s")
    print_row("ours", "1,000")
    assert capsys.readouterr().out == "| way | images/s |\n|---|---|\n| ours | 1,000 |\n"
