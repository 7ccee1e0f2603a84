"""`striate curves`: the table, its JSON and its figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import striate
from striate.cli.main import main

from .run_metrics import TRAIN, VAL, lines


def test_the_table_and_json_say_when_the_accuracy_was_reached(make_run, tmp_path: Path, capsys) -> None:
    first = make_run("first", lines(TRAIN, VAL))
    second = make_run("second", lines([0.2], [None], steps=1500))
    figure = tmp_path / "curves.svg"
    assert main(["curves", str(first), str(second), "--figure", str(figure)]) == 0
    head, one, two, written = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "run"
    assert "train ≥ 0.9" in head
    assert [cell.strip() for cell in one.split("  ") if cell] == [
        "first",
        "digits",
        "4/6",
        "epoch 3, step 30",
        "epoch 2, step 20",
        "0.9200 (epoch 2)",
        "0.9200",
        "5.0 s",
    ]
    assert [cell.strip() for cell in two.split("  ") if cell][2:] == [
        "1/6",
        "not reached",
        "not measured",
        "not measured",
        "not measured",
        "1.2 s",
    ]
    assert str(figure) in written
    assert b"</svg>" in figure.read_bytes()

    assert main(["curves", str(first), str(second), "--accuracy", "0.95", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == 0.95
    assert result["runs"][0] == {
        "run": str(first),
        "name": "first",
        "data": "digits",
        "epochs": 4,
        "of_epochs": 6,
        "steps": 40,
        "train_reached": {"epoch": 4, "step": 40},
        "val_reached": None,
        "best_val": {"epoch": 2, "step": 20, "accuracy": 0.92},
        "last_val_accuracy": 0.92,
        "seconds": 5.0,
    }
    assert result["runs"][1]["best_val"] is None


def test_what_a_trained_run_wrote_is_read(tmp_path: Path, capsys) -> None:
    run = striate.train("digits", out=tmp_path, epochs=2, first=200, precision="fp32", device="cpu")
    assert main(["curves", str(run.path), "--json", "--accuracy", "0.01"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    last = run.metrics()[-1]
    assert (row["epochs"], row["steps"], row["last_val_accuracy"]) == (2, last["step"], last["val_accuracy"])
    assert row["train_reached"] == {"epoch": 1, "step": last["step"] // 2}


@pytest.mark.parametrize("accuracy", ["0", "1.01", "-0.5", "nan", "90", "high"])
def test_an_accuracy_that_is_none_is_refused(make_run, accuracy: str, capsys) -> None:
    assert main(["curves", str(make_run("r", lines(TRAIN, VAL))), "--accuracy", accuracy]) == 2
    assert "accuracy" in capsys.readouterr().err


def test_mistakes_leave_no_file(make_run, tmp_path: Path, capsys) -> None:
    run, figure = make_run("r", lines(TRAIN, VAL)), tmp_path / "x.png"
    assert main(["curves", str(tmp_path), "--figure", str(figure)]) == 2
    assert main(["curves", "--figure", str(figure)]) == 2
    assert main(["curves", str(run), "--figure", str(tmp_path / "x.gif")]) == 2
    assert not figure.exists()
    figure.write_text("mine")
    assert main(["curves", str(run), "--figure", str(figure)]) == 2
    assert figure.read_text() == "mine"
