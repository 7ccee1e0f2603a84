"""A table of pictures as DATA of every command: trained on, measured, shown, resumed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from striate.cli.main import main
from striate.core.errors import Interrupted
from striate.training import loop

from .quick_run import QUICK, tree


@pytest.fixture
def table(photos: Path, tmp_path: Path) -> Path:
    """Return a table beside a copy of the pictures: two of each ten for the test, a patient of every three."""
    shutil.copytree(photos, tmp_path / "set" / photos.name)
    path = tmp_path / "set" / "kinds.csv"
    lines = ["Picture;Kind;Part;Patient"]
    for name in ("dark", "light"):
        for number, file in enumerate(sorted((photos / name).iterdir())):
            part = "test" if number % 30 >= 24 else "train"
            lines.append(f"{photos.name}/{name}/{file.name};{name};{part};{name[0]}{number // 3}")
    path.write_text("\n".join(lines))
    return path


NAMED = ["--path-column", "Picture", "--label-column", "Kind"]


def test_a_run_on_a_table_records_it_and_measures_its_own_data_again(
    table, tmp_path: Path, monkeypatch, capsys
) -> None:
    before = tree(table.parent)
    monkeypatch.chdir(table.parent)
    assert main(["train", "kinds.csv", *QUICK, *NAMED, "--out", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert "columns read: the pictures' files in 'Picture', their classes in 'Kind'" in err
    assert "groups held together" in err
    run = tmp_path / "runs" / "kinds"
    assert "of 12 pictures" in out
    rows = list(csv.DictReader((run / "files.csv").read_text().splitlines()))
    assert len(rows) == 60
    assert sum(row["part"] == "test" for row in rows) == 12
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "evaluation.json").read_text())["test"]
    assert tree(table.parent) == before


def test_other_tables_are_measured_by_the_names_of_classes(run: Path, photos: Path, capsys) -> None:
    rows = [f"dark/0{n}.png,dark,val" for n in range(3)] + [f"light/0{n}.png,light,test" for n in range(4)]
    other = photos / "other.csv"
    other.write_text("\n".join(["file,class,split", *rows]))
    try:
        for options, count in (([], 4), (["--part", "val"], 3)):
            assert main(["evaluate", str(run), str(other), *options, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["count"] == count
        assert main(["evaluate", str(run), str(other), "--part", "train"]) == 2
        other.write_text("\n".join(["file,class", *(row.rpartition(",")[0] for row in rows)]))
        assert main(["evaluate", str(run), str(other), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["count"] == 7
        assert main(["evaluate", str(run), f"{other}:dark", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["count"] == 3
        other.write_text("file,class\ndark/00.png,dim\nlight/nowhere.png,light")
        assert main(["evaluate", str(run), str(other)]) == 3
        assert "row 3" in capsys.readouterr().err
    finally:
        other.unlink()


def test_an_unsplit_table_gives_a_run_its_part_again(photos: Path, tmp_path: Path, capsys) -> None:
    rows = [f"{p},{p.parent.name}" for p in sorted(photos.rglob("*.png"))]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    out = tmp_path / "runs"
    assert main(["train", str(tmp_path / "t.csv"), *QUICK, "--out", str(out), "--name", "t", "--quiet"]) == 0
    (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    capsys.readouterr()
    assert main(["evaluate", str(out / "t")]) == 3
    assert main(["evaluate", str(out / "t"), str(tmp_path / "moved.csv"), "--part", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == json.loads((out / "t" / "evaluation.json").read_text())["test"]


def test_a_stopped_run_on_a_table_goes_on(table, tmp_path: Path, monkeypatch) -> None:
    original = loop.TrainingState.after_step
    options = [str(table), *QUICK, *NAMED, "--out", str(tmp_path), "--quiet"]
    assert main(["train", *options, "--name", "whole"]) == 0

    def stop(self, loss, logits, labels) -> None:
        original(self, loss, logits, labels)
        if self.step == 2:
            raise Interrupted(2, "stop here")

    monkeypatch.setattr(loop.TrainingState, "after_step", stop)
    assert main(["train", *options, "--name", "cut"]) == 130
    monkeypatch.setattr(loop.TrainingState, "after_step", original)
    assert main(["train", "--resume", str(tmp_path / "cut"), "--quiet"]) == 0
    whole, cut = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_a_table_is_shown_with_its_parts(table, capsys) -> None:
    assert main(["data", "show", str(table), *NAMED, "--split-column", "Part", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["pictures"]["test"] == 12
    assert sum(shown["pictures"].values()) == 60
    assert main(["data", "list"]) == 0
    assert ".parquet" in capsys.readouterr().out


def test_a_bad_table_is_refused_before_anything_is_written(table, tmp_path: Path, capsys) -> None:
    table.write_text(table.read_text().replace(";dark;", ";;", 2))
    assert main(["train", str(table), *QUICK, *NAMED, "--out", str(tmp_path / "runs")]) == 3
    err = capsys.readouterr().err
    assert "row 2, column 'Kind': no label" in err
    assert "row 3, column 'Kind': no label" in err
    assert not (tmp_path / "runs").exists()


def test_several_labels_are_trained_and_predicted(photos: Path, tmp_path: Path, capsys) -> None:
    rows = [f"{p},{p.parent.name}{'|even' if n % 2 == 0 else ''}" for n, p in enumerate(sorted(photos.rglob("*.png")))]
    (tmp_path / "t.csv").write_text("\n".join(["path,labels", *rows]))
    options = [str(tmp_path / "t.csv"), *QUICK, "--out", str(tmp_path), "--name", "several", "--quiet"]
    assert main(["train", *options]) == 0
    assert "label sets" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "several"), str(tmp_path / "t.csv"), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["count"] == 60
    assert [score["name"] for score in measured["per_class"]] == ["dark", "even", "light"]
