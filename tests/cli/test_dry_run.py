"""`striate train DATA --dry-run`: the plan and what it takes, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

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
