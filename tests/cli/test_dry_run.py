"""`striate train DATA --dry-run`: the plan and what it takes, and nothing written."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest

from striate.cli.main import main

from .quick_run import QUICK, tree


def test_plan_and_estimate_are_the_result_and_nothing_is_written(photos: Path, tmp_path: Path, capsys) -> None:
    before = tree(photos)
    assert main(["train", str(photos), *QUICK, "--out", str(tmp_path / "runs"), "--dry-run"]) == 0
    out, _ = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == [
        "pictures", "network", "schedule", "augment", "machine", "estimate",
    ]  # fmt: skip
    assert "memory" in out.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
    assert tree(photos) == before


def test_the_run_then_is_what_was_foretold(photos: Path, tmp_path: Path, capsys) -> None:
    arguments = ["train", str(photos), *QUICK, "--out", str(tmp_path / "runs")]
    assert main([*arguments, "--dry-run", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--name", "r"]) == 0
    _, err = capsys.readouterr()
    config = json.loads((tmp_path / "runs" / "r" / "config.json").read_bytes())
    assert told["settings"] == config["settings"]
    assert told["reasons"] == config["reasons"]
    assert told["estimate"]["disk"] == config["estimate"]["disk"]
    assert sum(line.startswith("estimate   ") for line in err.splitlines()) == 1


def test_what_cannot_be_obeyed_is_told_all_the_same(tmp_path: Path, capsys) -> None:
    assert main(["train", "digits", "--hue", "0.1", "--dry-run"]) == 2
    assert "grey" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path), "--dry-run"]) == 2
    assert "--dry-run" in capsys.readouterr().err


def test_of_folds_one_and_all_are_foretold_and_nothing_is_written(photos: Path, tmp_path: Path, capsys) -> None:
    arguments = ["train", str(photos), *QUICK, "--folds", "3", "--out", str(tmp_path / "runs"), "--name", "p"]
    assert main([*arguments, "--dry-run"]) == 0
    out, _ = capsys.readouterr()
    assert "40 train, 20 val" in out
    assert "each fold: " in out
    assert "all 3 folds: " in out
    assert main([*arguments, "--dry-run", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == {"train": 40, "val": 20}
    assert (told["folds"], told["unfinished"]) == (3, 3)
    assert told["together"]["disk"] == 3 * told["estimate"]["disk"]
    assert list(tmp_path.iterdir()) == []


def test_folds_that_are_there_are_not_counted_again_and_others_of_that_name_refused(
    photos: Path, tmp_path: Path, capsys
) -> None:
    arguments = ["train", str(photos), *QUICK, "--folds", "2", "--out", str(tmp_path), "--name"]
    assert main([*arguments, "p-fold1", "--fold", "1", "--quiet"]) == 0
    arguments.append("p")
    before = tree(tmp_path)
    capsys.readouterr()
    assert main([*arguments, "--dry-run", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["unfinished"] == 1
    assert told["together"]["disk"] == told["estimate"]["disk"]
    assert main([*arguments, "--seed", "7", "--dry-run"]) == 2
    assert "other settings (seed)" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("more", [[], ["--folds", "2"]], ids=["one", "folds"])
def test_what_the_run_would_refuse_the_dry_run_refuses(more: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user.txt").write_text("mine")
    told = []
    for wrong in (
        ["--name", "x/y"],
        ["--out", str(tmp_path / "user.txt")],
        ["--out", str(tmp_path / "user.txt" / "x")],
    ):
        for dry in (["--dry-run"], []):
            assert main(["train", "digits", *QUICK, *more, *dry, *wrong]) == 2
            told.append(capsys.readouterr().err)
    assert told[::2] == told[1::2]
    assert "is a file, not a folder" in told[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["user.txt"]


def test_a_name_that_is_taken_is_refused_before_and_by_the_run(run: Path, photos: Path, capsys) -> None:
    for dry in (["--dry-run"], []):
        assert main(["train", str(photos), *QUICK, "--out", str(run.parent), "--name", run.name, *dry]) == 2
        err = capsys.readouterr().err
        assert "run folder exists" in err
        assert "--resume" not in err, "a finished run cannot go on"


def test_how_many_pictures_each_part_has_is_told(photos: Path, run: Path, capsys) -> None:
    assert main(["train", str(photos), *QUICK, "--dry-run"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    rows = list(csv.DictReader((run / "files.csv").read_text().splitlines()))
    counts = [f"{sum(row['part'] == part for row in rows)} {part}" for part in ("train", "val", "test")]
    assert line.startswith(f"pictures   {', '.join(counts)} · ")


def test_shares_that_leave_almost_nothing_to_train_on_are_refused_by_name(photos: Path, capsys) -> None:
    for shares in (("0.6", "0.6"), ("0.1", "0.97"), ("0.97", "0.1")):
        assert main(["train", str(photos), "--val-share", shares[0], "--test-share", shares[1], "--dry-run"]) == 2
        err = capsys.readouterr().err
        assert f"--val-share {shares[0]}" in err
        assert f"--test-share {shares[1]}" in err
    assert main(["train", str(photos), "--val-share", "0.4", "--test-share", "0.4", "--dry-run", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told", "not_told"),
    [
        (["digits", "--lr", "-1"], "lr = -1.0", ": options"),
        (["digits", "--views", "2"], "of 2 views some are mirrored", ": settings"),
        (["digits", "--model", "fast", "--unfreeze", "2"], "--model fast", ": settings"),
        (["digits", "--model", "resnet18", "--freeze"], "use --pretrained resnet18; or", "lite0"),
        (["digits", "--pretrained", "bogus"], "Known: lite0, alexnet", "fashion-cnn"),
        (["digits", "--pretrained", "resnet81"], "did you mean 'resnet18'?", "fashion-cnn"),
        (["DATA", "--group", r"\d+x"], r"as '\d+x' finds nothing", r"\\d"),
        (["DATA", "--group", r"\d+("], r"--group '\d+('", r"\\d"),
    ],
)
def test_messages_name_options_as_they_are_typed_and_remedies_that_there_are(
    arguments: list[str], told: str, not_told: str, photos: Path, capsys
) -> None:
    assert main(["train", *(str(photos) if one == "DATA" else one for one in arguments), "--dry-run"]) in (2, 3)
    err = capsys.readouterr().err
    assert told in err
    assert not_told not in err


def test_a_command_that_is_proposed_can_be_pasted(picture_folder, tmp_path: Path, capsys) -> None:
    folder = picture_folder(cats=4, dogs=4).rename(tmp_path / "my pictures (2)")
    assert main(["train", f"{folder}:cats", "--dry-run"]) == 2
    fix = capsys.readouterr().err.splitlines()[1]
    assert shlex.split(fix)[-1] == f"{folder}:cats,dogs"
