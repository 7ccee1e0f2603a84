"""`striate compare`: two trained runs, what is printed of them, the JSON and the CSV file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from striate.cli.main import main

from .quick_run import QUICK, tree


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    out = tmp_path_factory.mktemp("compared")
    for name, epochs in (("short", "1"), ("long", "4")):
        options = ["--epochs", epochs, "--out", str(out), "--name", name, "--quiet"]
        assert main(["train", "digits", *QUICK[2:], "--first", "200", *options]) == 0
    return [out / "short", out / "long"]


def accuracy(run: Path) -> float:
    return json.loads((run / "evaluation.json").read_text())["test"]["accuracy"]


def test_the_figures_are_those_that_the_runs_measured(runs: list[Path], capsys) -> None:
    assert main(["compare", *map(str, runs), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["part"], result["count"]) == ("test", 359)
    assert [run["accuracy"] for run in result["runs"]] == [accuracy(run) for run in runs]
    (pair,) = result["comparisons"]
    assert pair["difference"] == pytest.approx(accuracy(runs[1]) - accuracy(runs[0]))
    assert result["settings"]["epochs"] == [1, 4]
    measured = [list(csv.DictReader((run / "predictions.csv").read_text().splitlines())) for run in runs]
    flipped = {
        a["path"]
        for a, b in zip(*measured, strict=True)
        if a["part"] == "test" and (a["label"] == a["prediction"]) != (b["label"] == b["prediction"])
    }
    assert {flip["name"] for flip in pair["flips"]} == flipped


def test_what_is_printed_says_whether_they_differ(runs: list[Path], capsys) -> None:
    assert main(["compare", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    for told in (
        "359 pictures, the same",
        "epochs",
        "recall short",
        "F1 long",
        "long against short",
        "distinguishable",
    ):
        assert told in out
    assert "right → wrong" in out
    assert "Tango" not in out
    assert "None" not in out
    assert sum(line.startswith("epochs ") for line in out.splitlines()) == 1
    assert main(["compare", str(runs[0]), str(runs[0])]) == 2
    assert "two or more" in capsys.readouterr().err


def test_the_csv_file_holds_every_picture_that_flipped_and_nothing_is_written_over(
    runs: list[Path], tmp_path: Path, capsys
) -> None:
    before = [tree(run) for run in runs]
    out = tmp_path / "flips.csv"
    assert main(["compare", *map(str, runs), "--out", str(out), "--json"]) == 0
    flips = json.loads(capsys.readouterr().out)["comparisons"][0]["flips"]
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["path"], row["prediction"]) for row in rows] == [(flip["name"], flip["after"]) for flip in flips]
    assert {row["change"] for row in rows} <= {"right to wrong", "wrong to right"}
    assert main(["compare", *map(str, runs), "--out", str(out)]) == 2
    assert "file exists" in capsys.readouterr().err
    assert [tree(run) for run in runs] == before


def test_runs_on_other_splits_share_what_they_share(runs: list[Path], picture_folder, tmp_path: Path, capsys) -> None:
    folder = picture_folder(cats=40, dogs=40)
    for seed in ("1", "2"):
        options = ["--seed", seed, "--test-share", "0.5", "--out", str(tmp_path), "--name", seed, "--quiet"]
        assert main(["train", str(folder), *QUICK, *options]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "1"), str(tmp_path / "2"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    names = [
        {row["path"] for row in csv.DictReader((tmp_path / seed / "predictions.csv").read_text().splitlines())
         if row["part"] == "test"}
        for seed in ("1", "2")
    ]  # fmt: skip
    assert result["count"] == len(names[0] & names[1]) < 40
    (note,) = (note for note in result["notes"] if "(40 of 1, 40 of 2)" in note)
    assert "another --seed (1, 2) holds other pictures out" in note
    assert main(["compare", str(tmp_path / "1"), str(tmp_path / "2")]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(f"{result['count']} pictures that all runs have (of 40 in 1, of 40 in 2)")
    assert main(["compare", str(runs[0]), str(tmp_path / "1")]) == 3
    err = capsys.readouterr().err
    assert "no test picture" in err
    assert "fix:" in err


def test_of_few_shared_pictures_that_is_said_first_and_no_class_is_told(picture_folder, tmp_path: Path, capsys) -> None:
    folder = picture_folder(cats=40, dogs=40)
    for seed in ("1", "2"):
        options = ["--seed", seed, "--test-share", "0.2", "--out", str(tmp_path), "--name", seed, "--quiet"]
        assert main(["train", str(folder), *QUICK, *options]) == 0
    capsys.readouterr()
    runs = [str(tmp_path / "1"), str(tmp_path / "2")]
    assert main(["compare", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "so few tell hardly anything" in lines[1]
    assert "--folds" in lines[1]
    assert not any("recall" in line for line in lines)
    assert main(["compare", *runs, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["count"] < 20
    assert len(result["runs"][0]["per_class"]) == 2


def test_where_several_comparisons_outweigh_one_that_is_said() -> None:
    from striate.cli.compare import _verdict
    from striate.deploy.comparison import Flip, Pair
    from striate.evaluation.paired import difference_interval, mcnemar_exact

    flips = [Flip(str(number), "a", "b", "a", gained=True) for number in range(6)]
    p = mcnemar_exact(0, 6)
    pair = Pair("x", "the same", flips, 0.06, difference_interval(0, 6, 100), p, 2 * p, 40)
    told = "\n".join(_verdict(pair, several=True))
    assert pair.interval[0] > 0
    assert "not distinguishable: alone it would be, as the interval says" in told
