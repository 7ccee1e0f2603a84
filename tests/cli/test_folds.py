"""`striate train --folds`: every fold a run, what they come to together, and a command that goes on when repeated."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import striate
from striate.cli.main import main
from striate.core.errors import Interrupted, SettingsError
from striate.training import loop
from striate.training.folds import cross_validation

from .quick_run import QUICK, tree


@pytest.fixture(scope="module")
def folded(photos: Path, tmp_path_factory) -> Path:
    """Return the folder of the runs of three folds, and of what they come to."""
    out = tmp_path_factory.mktemp("folds")
    assert main(["train", str(photos), *QUICK, "--folds", "3", "--out", str(out), "--name", "p", "--quiet"]) == 0
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_each_fold_is_a_run_and_each_picture_is_predicted_once_by_the_run_that_had_not_seen_it(folded, photos) -> None:
    together = rows_of(folded / "p-folds" / "predictions.csv")
    assert sorted(row["path"] for row in together) == sorted(str(p.relative_to(photos)) for p in photos.rglob("*.png"))
    for number in (1, 2, 3):
        folder = folded / f"p-fold{number}"
        assert json.loads((folder / "config.json").read_text())["settings"]["fold"] == number
        own = [row for row in rows_of(folder / "predictions.csv") if row["part"] == "val"]
        ours = [row for row in together if row["fold"] == str(number)]
        for here, there in zip(ours, own, strict=True):
            assert {key: here[key] for key in here if key != "fold"} == {
                key: there[key] for key in here if key != "fold"
            }
        trained = {row["path"] for row in rows_of(folder / "files.csv") if row["part"] == "train"}
        assert not trained & {row["path"] for row in ours}
        assert len(trained) + len(ours) == 60


def test_the_summary_is_numpys_of_the_folds_figures(folded) -> None:
    summary = json.loads((folded / "p-folds" / "summary.json").read_text())
    measured = [json.loads((folded / f"p-fold{n}" / "evaluation.json").read_text())["val"] for n in (1, 2, 3)]
    accuracies = [figures["accuracy"] for figures in measured]
    assert [fold["val"]["accuracy"] for fold in summary["folds"]] == accuracies
    assert summary["val"]["mean"] == pytest.approx(np.mean(accuracies))
    assert summary["val"]["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    rows = rows_of(folded / "p-folds" / "predictions.csv")
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert (summary["out_of_fold"]["correct"], summary["out_of_fold"]["count"]) == (right, 60)
    assert "test" not in summary


def test_the_same_command_again_trains_nothing_and_says_the_same(folded, photos, capsys) -> None:
    before = tree(folded)
    assert main(["train", str(photos), *QUICK, "--folds", "3", "--out", str(folded), "--name", "p"]) == 0
    out, err = capsys.readouterr()
    assert tree(folded) == before
    assert err.count("taken as it is") == 3
    assert "mean and standard deviation of 3 folds" in out
    assert "of 60 pictures, each by the run that had not seen it" in out
    assert out.count(f"{folded}/p-fold") == 3 + out.count(f"{folded}/p-folds")
    assert main(["train", str(photos), *QUICK, "--folds", "3", "--lr", "0.5", "--out", str(folded), "--name", "p"]) == 2
    assert "other settings (lr)" in capsys.readouterr().err


def test_the_folder_of_the_folds_is_no_run_and_names_them(folded, photos, capsys) -> None:
    folder, picture = folded / "p-folds", str(next(photos.rglob("*.png")))
    for arguments, code in (
        (["predict", str(folder), picture], 4),
        (["evaluate", str(folder)], 4),
        (["evaluate", str(folder), str(photos)], 4),
        (["inspect", str(folder)], 4),
        (["train", "--resume", str(folder)], 2),
        (["curves", str(folder)], 2),
    ):
        assert main(arguments) == code, arguments
        err = capsys.readouterr().err
        assert "the results of 3 folds together, not one run" in err
        assert all(str(folded / f"p-fold{number}") in err for number in (1, 2, 3))


def test_folds_are_compared_picture_by_picture_each_by_the_run_that_had_not_seen_it(folded, photos, tmp_path, capsys):
    options = [*QUICK, "--folds", "2", "--seed", "5", "--lr", "0.001", "--out", str(tmp_path), "--name", "q", "--quiet"]
    assert main(["train", str(photos), *options]) == 0
    capsys.readouterr()
    folders = [str(folded / "p-folds"), str(tmp_path / "q-folds")]
    assert main(["compare", *folders, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["part"], result["count"], result["counts"]) == ("out-of-fold", 60, [60, 60])
    right = [
        {row["path"] for row in rows_of(Path(folder) / "predictions.csv") if row["label"] == row["prediction"]}
        for folder in folders
    ]
    (pair,) = result["comparisons"]
    assert (pair["lost"], pair["gained"]) == (len(right[0] - right[1]), len(right[1] - right[0]))
    assert [run["correct"] for run in result["runs"]] == [len(one) for one in right]
    assert pair["data"] == "the same 60 pictures, divided in another way"
    assert (result["settings"]["folds"], result["settings"]["seed"]) == ([3, 2], [0, 5])
    assert "fold" not in result["settings"]
    times = [json.loads((folded / f"p-fold{n}" / "time.json").read_text())["seconds"] for n in (1, 2, 3)]
    assert result["runs"][0]["seconds"] == pytest.approx(sum(times))
    assert main(["compare", *folders]) == 0
    assert "6 in 3 folds" in capsys.readouterr().out
    assert main(["compare", folders[0], str(folded / "p-fold1")]) == 2
    assert "compare folds with folds" in capsys.readouterr().err
    (tmp_path / "q-fold2").rename(tmp_path / "gone")
    assert main(["compare", *folders]) == 4
    assert str(tmp_path / "q-fold2") in capsys.readouterr().err


def test_a_fold_alone_is_the_fold_of_all(folded, photos, tmp_path: Path) -> None:
    options = [*QUICK, "--folds", "3", "--fold", "2", "--out", str(tmp_path), "--name", "two", "--quiet"]
    assert main(["train", str(photos), *options]) == 0
    ours, theirs = tmp_path / "two", folded / "p-fold2"
    assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()


def test_python_makes_one_run_of_each_and_reads_them_together(folded, photos, tmp_path: Path) -> None:
    quick = {"epochs": 2, "precision": "fp32", "device": "cpu"}
    with pytest.raises(SettingsError, match=r"striate\.train\(data, folds=3, fold=n\) for n in range\(1, 4\)"):
        striate.train(photos, out=tmp_path, folds=3, **quick)
    assert not list(tmp_path.iterdir())
    runs = [striate.train(photos, out=tmp_path, folds=3, fold=n, **quick) for n in (2, 3, 1)]
    told, kept = cross_validation(runs).summary(), json.loads((folded / "p-folds" / "summary.json").read_text())
    assert told["val"] == kept["val"]
    assert told["out_of_fold"] == kept["out_of_fold"]
    assert [fold["fold"] for fold in told["folds"]] == [1, 2, 3]
    for some in (runs[:2], [*runs, runs[0]], []):
        with pytest.raises(SettingsError, match="each fold"):
            cross_validation(some)


def test_a_stopped_fold_goes_on_with_the_same_command(folded, photos, tmp_path: Path, monkeypatch, capsys) -> None:
    original = loop.TrainingState.after_step
    options = ["train", str(photos), *QUICK, "--folds", "3", "--out", str(tmp_path), "--quiet"]

    def stop(self, loss, logits, labels) -> None:
        original(self, loss, logits, labels)
        if self.step == 2 and (tmp_path / f"{photos.name}-fold1" / "model.safetensors").exists():
            raise Interrupted(2, "stop here")

    monkeypatch.setattr(loop.TrainingState, "after_step", stop)
    assert main(options) == 130
    assert "the same command again" in capsys.readouterr().err
    monkeypatch.setattr(loop.TrainingState, "after_step", original)
    assert main(["train", "--resume", str(tmp_path / f"{photos.name}-fold2"), "--quiet"]) == 0
    assert main([*options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["out_of_fold"] == json.loads((folded / "p-folds" / "summary.json").read_text())["out_of_fold"]
    assert (tmp_path / f"{photos.name}-folds" / "predictions.csv").read_bytes() == (
        folded / "p-folds" / "predictions.csv"
    ).read_bytes()


def test_other_settings_without_a_name_get_a_number(tmp_path: Path, capsys) -> None:
    options = ["train", "digits", *QUICK, "--first", "60", "--folds", "2", "--out", str(tmp_path), "--quiet"]
    assert main(options) == 0
    assert main([*options, "--seed", "1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *("digits-fold1", "digits-fold2", "digits-folds"),
        *("digits-2-fold1", "digits-2-fold2", "digits-2-folds"),
    }
    out = capsys.readouterr().out
    assert out.count("test  ") >= 2, "the test part is measured by every fold"
    assert main(["evaluate", str(tmp_path / "digits-fold2"), "--part", "val", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == json.loads((tmp_path / "digits-fold2" / "evaluation.json").read_text())["val"]


def test_a_finished_fold_of_data_that_changed_is_not_taken(picture_folder, tmp_path: Path, capsys) -> None:
    folder = picture_folder(cats=6, dogs=6)
    options = ["train", str(folder), *QUICK, "--folds", "2", "--out", str(tmp_path / "runs"), "--quiet"]
    assert main(options) == 0
    (folder / "cats" / "000.png").unlink()
    capsys.readouterr()
    assert main(options) == 3
    assert "data have changed" in capsys.readouterr().err


def test_single_folds_and_the_name_alone_point_to_what_they_came_to(folded, capsys):
    capsys.readouterr()
    assert main(["compare", str(folded / "p-fold1"), str(folded / "p-fold2")]) in (0, 3)
    err = capsys.readouterr().err
    assert "each fold holds other pictures out" in err
    assert str(folded / "p-folds") in err
    assert "--seed" not in err
    assert main(["compare", str(folded / "p"), str(folded / "p-fold2")]) == 2
    err = capsys.readouterr().err
    assert f"fix: name what they came to: {folded / 'p-folds'}" in err
