"""`striate train`: what a run writes, prints and records, and what it leaves alone."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

from striate.cli.main import main

from .quick_run import QUICK, tree


def test_a_run_folder_is_complete_and_the_data_are_untouched(photos: Path, tmp_path: Path, capsys) -> None:
    before = tree(photos)
    assert main(["train", str(photos), *QUICK, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / photos.name
    for name in (
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "files.csv",
        "model.safetensors",
        "evaluation.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert "epoch 1/2" in err, "progress goes to stderr"
    assert "test" in out, "the result goes to stdout"
    assert f"striate predict {folder}" in out, "what to type next"
    assert "epoch" not in out
    assert "\x1b" not in err + out, "no control codes without a terminal"
    assert tree(photos) == before
    rows = list(csv.DictReader((folder / "files.csv").read_text().splitlines()))
    assert {row["status"] for row in rows} == {"used"}
    assert len(rows) == 60


def test_json_is_one_value_on_stdout(photos: Path, tmp_path: Path, capsys) -> None:
    assert main(["train", str(photos), *QUICK, "--out", str(tmp_path), "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert result["test"]["count"] == 6
    assert Path(result["model"]).is_file()


def test_every_setting_chosen_from_the_data_is_in_the_config_with_its_reason(run: Path) -> None:
    from striate.core.settings import TrainSettings

    config = json.loads((run / "config.json").read_text())
    extras = {name: field.json_schema_extra or {} for name, field in TrainSettings.model_fields.items()}
    for name in (name for name, extra in extras.items() if extra.get("chosen")):
        assert config["settings"][name] is not None, name
        assert name in config["given"] or config["reasons"][name], name


def test_printed_commands_can_be_pasted_into_a_shell(photos: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "my runs; rm -rf x"
    assert main(["train", str(photos), *QUICK, "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (told,) = (line for line in lines if "striate evaluate" in line)
    assert shlex.split(told)[-1] == str(out / photos.name)


def test_paths_are_printed_as_they_are(tmp_path: Path, capsys) -> None:
    out = tmp_path / "x:cat:y" / ("long " * 30)
    assert main(["train", "digits", *QUICK, "--first", "100", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"model      {out / 'digits' / 'model.safetensors'}\n" in printed


def test_a_run_folder_is_never_overwritten(run: Path, photos: Path, capsys) -> None:
    before = tree(run)
    assert main(["train", str(photos), *QUICK, "--out", str(run.parent), "--name", run.name]) == 2
    assert "run folder exists" in capsys.readouterr().err
    assert tree(run) == before


def test_a_run_may_lie_among_the_pictures(picture_folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(picture_folder(cats=12, dogs=12))
    for _ in range(2):
        assert main(["train", ".", *QUICK, "--out", ".", "--quiet"]) == 0
    assert json.loads(Path("photos-2/config.json").read_text())["spec"]["classes"] == ["cats", "dogs"]


def test_bad_pictures_are_all_named_before_the_first_step_and_skip_bad_records_them(
    picture_folder, tmp_path: Path, capsys
) -> None:
    folder = picture_folder(cats=12, dogs=12)
    whole = (folder / "cats" / "000.png").read_bytes()
    (folder / "cats" / "a.png").write_bytes(b"")
    (folder / "cats" / "b.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dogs" / "c.jpg").write_text("<html>not a picture</html>")
    before = tree(folder)
    arguments = ["train", str(folder), *QUICK, "--out", str(tmp_path / "runs"), "--name", "r", "--quiet"]
    assert main(arguments) == 3
    err = capsys.readouterr().err
    for name in ("a.png", "b.png", "c.jpg", "--skip-bad"):
        assert name in err
    assert not (tmp_path / "runs").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    rows = list(csv.DictReader((tmp_path / "runs" / "r" / "files.csv").read_text().splitlines()))
    skipped = {row["path"]: row["reason"] for row in rows if row["status"] == "skipped"}
    assert set(skipped) == {"cats/a.png", "cats/b.png", "dogs/c.jpg"}
    assert all(skipped.values())
    assert tree(folder) == before


def test_files_beyond_the_number_asked_for_are_recorded_so(picture_folder, tmp_path: Path) -> None:
    folder = picture_folder(cats=20, dogs=20)
    assert main(["train", str(folder), *QUICK, "--first", "8", "--out", str(tmp_path), "--name", "f", "--quiet"]) == 0
    rows = list(csv.DictReader((tmp_path / "f" / "files.csv").read_text().splitlines()))
    used = [row for row in rows if row["status"] == "used"]
    assert sum(row["part"] == "train" for row in used) == 8
    assert {row["reason"] for row in rows if row["status"] == "skipped"} == {"beyond the number asked for (--first)"}


def test_a_class_subset_of_a_folder_is_all_that_is_read_measured_and_recorded(picture_folder, tmp_path, capsys) -> None:
    folder = picture_folder(cats=20, dogs=20, owls=20)
    out = tmp_path / "runs"
    assert main(["train", f"{folder}:dogs,cats", *QUICK, "--out", str(out), "--name", "two", "--quiet"]) == 0
    rows = list(csv.DictReader((out / "two" / "files.csv").read_text().splitlines()))
    assert {(row["class"], row["status"]) for row in rows if row["path"].startswith("owls")} == {("", "ignored")}
    assert {row["part"] for row in rows if row["status"] == "used"} == {"train", "val", "test"}
    folder.rename(tmp_path / "moved")
    capsys.readouterr()
    assert main(["evaluate", str(out / "two")]) == 3
    assert "FOLDER --part test" in capsys.readouterr().err
    assert main(["evaluate", str(out / "two"), str(tmp_path / "moved"), "--part", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == json.loads((out / "two" / "evaluation.json").read_text())["test"]
    assert main(["evaluate", str(out / "two"), f"{tmp_path / 'moved'}:cats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 20


def test_a_relative_data_folder_is_found_again_from_elsewhere(real_data, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(real_data("mnist").parent)
    monkeypatch.delenv("STRIATE_DATA")
    options = ["--first", "200", "--data-dir", ".", "--out", str(tmp_path), "--name", "m", "--quiet"]
    assert main(["train", "mnist", *QUICK, *options]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(tmp_path / "m")]) == 0


def test_a_diverging_run_exits_5_and_names_step_and_pictures(tmp_path: Path, capsys) -> None:
    options = ["--lr", "1000", "--schedule", "constant", "--model", "mnist-cnn", "--label-smoothing", "0"]
    assert main(["train", "digits", *QUICK, *options, "--out", str(tmp_path)]) == 5
    err = capsys.readouterr().err
    assert "step" in err
    assert "digits/" in err


def test_the_time_that_is_told_is_the_one_in_the_run_folder(tmp_path: Path, capsys) -> None:
    options = ["train", "digits", *QUICK, "--first", "60", "--out", str(tmp_path)]
    assert main([*options, "--name", "one"]) == 0
    seconds = json.loads((tmp_path / "one" / "time.json").read_text())["seconds"]
    assert f"time       {seconds:.1f} s, " in capsys.readouterr().out
    assert main([*options, "--name", "two", "--json"]) == 0
    seconds = json.loads((tmp_path / "two" / "time.json").read_text())["seconds"]
    assert json.loads(capsys.readouterr().out)["seconds"] == round(seconds, 2)
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["seconds"] == seconds
