"""No command writes among pictures: what lies there would be taken for one the next time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from striate.cli.main import main

from .quick_run import QUICK, tree

CALLS = {
    "evaluate --figure": ["evaluate", "RUN", "DATA", "--figure", "DATA/dark/x.png"],
    "evaluate --predictions": ["evaluate", "RUN", "DATA", "--predictions", "DATA/dark/x.csv"],
    "evaluate --reliability": ["evaluate", "RUN", "DATA", "--reliability", "DATA/x.png"],
    "evaluate, the run's own": ["evaluate", "RUN", "--figure", "DATA/dark/x.png"],
    "predict": ["predict", "RUN", "DATA", "--figure", "DATA/dark/x.png"],
    "predict a folder of a class": ["predict", "RUN", "DATA/dark", "--figure", "DATA/dark/x.png"],
    "data show": ["data", "show", "DATA", "--figure", "DATA/dark/x.png"],
    "data check": ["data", "check", "DATA", "--out", "DATA/checked"],
    "compare": ["compare", "RUN", "RUN", "--out", "DATA/dark/x.csv"],
    "curves": ["curves", "RUN", "--figure", "DATA/dark/x.png"],
    "inspect": ["inspect", "RUN", "--figure", "DATA/dark/x.png"],
    "explain": ["explain", "RUN", "--only", "filters", "--out", "DATA/dark"],
    "train, in a class": ["train", "DATA", *QUICK, "--out", "DATA/dark"],
    "train, below a class": ["train", "DATA", *QUICK, "--out", "DATA/dark/runs"],
    "train, two folders down": ["train", "DATA", *QUICK, "--out", "DATA/my/runs"],
}


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory) -> tuple[Path, Path]:
    """A copy of the pictures, and a run on them."""
    root = tmp_path_factory.mktemp("apart")
    data = shutil.copytree(photos, root / "data")
    assert main(["train", str(data), *QUICK, "--out", str(root / "runs"), "--name", "run", "--quiet"]) == 0
    return data, root / "runs" / "run"


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_written_among_the_pictures(call: str, trained: tuple[Path, Path], capsys) -> None:
    data, run = trained
    before = tree(data)
    assert main([word.replace("DATA", str(data)).replace("RUN", str(run)) for word in CALLS[call]]) == 2
    err = capsys.readouterr().err
    assert "lies among the pictures" in err or "lies in a class folder" in err
    assert "fix: " in err
    assert tree(data) == before
    assert {entry.name for entry in data.iterdir()} == {"dark", "light"}


def test_runs_beside_the_classes_are_no_class_and_take_what_belongs_to_them(
    trained: tuple[Path, Path], tmp_path: Path, capsys
) -> None:
    data = shutil.copytree(trained[0], tmp_path / "data")
    assert main(["train", str(data), *QUICK, "--out", str(data / "runs"), "--name", "a", "--quiet"]) == 0
    run = data / "runs" / "a"
    assert main(["evaluate", str(run), "--figure", str(run / "mistakes.png")]) == 0
    assert main(["train", str(data), *QUICK, "--out", str(data / "runs"), "--name", "b", "--quiet"]) == 0
    configs = [json.loads((data / "runs" / name / "config.json").read_text()) for name in ("a", "b")]
    assert configs[0]["fingerprint"] == configs[1]["fingerprint"]
    assert configs[1]["spec"]["classes"] == ["dark", "light"]


def test_pictures_elsewhere_do_not_matter(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = trained
    shutil.copy(next((data / "dark").iterdir()), tmp_path / "other.png")
    assert main(["predict", str(run), str(tmp_path / "other.png"), "--figure", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").is_file()
