"""`striate predict`: one line per picture on stdout, what cannot be used on stderr, and nothing in silence."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import striate
from striate.cli.main import main

ESCAPED = {"tab\there": r"tab\there", "line\nbreak": r"line\nbreak", "re\rturn": r"re\rturn", "back\\n": r"back\\n"}


@pytest.fixture
def model(make_spec, save_untrained, tmp_path: Path, monkeypatch) -> Path:
    """Return a model file whose class names are no better than the pictures'; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return save_untrained(make_spec(classes=4).model_copy(update={"classes": tuple(ESCAPED)}))


def draw(*paths: str) -> None:
    for number, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 30), 50 * number).save(path, "PNG")


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def test_predict_prints_evaluations_row_for_each_picture(run: Path, photos: Path, capsys) -> None:
    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert rows
    pictures = [str(photos / row["path"]) for row in rows]
    assert main(["predict", str(run), *pictures, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, row, path in zip(lines, rows, pictures, strict=True):
        assert (line["path"], line["label"]) == (path, row["prediction"])
        for name, probability in line["probabilities"].items():
            assert probability == pytest.approx(float(row[f"p({name})"]), abs=2e-6)
    assert main(["predict", str(run), pictures[0]]) == 0
    path, name, probability = capsys.readouterr().out.rstrip().split("\t")
    assert (path, name) == (pictures[0], rows[0]["prediction"])
    assert float(probability) == pytest.approx(float(rows[0][f"p({name})"]), abs=6e-5)


def test_predict_takes_folders(run: Path, photos: Path, capsys) -> None:
    assert main(["predict", str(run), str(photos / "dark"), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30
    assert all(len(line.split("\t")) == 5 for line in lines)


def test_more_classes_than_there_are_is_said(run: Path, photos: Path, capsys) -> None:
    assert main(["predict", str(run), str(photos / "dark" / "00.png"), "--top", "99"]) == 0
    out, err = capsys.readouterr()
    assert len(out.rstrip("\n").split("\t")) == 5
    assert "--top 99: all 2 classes are shown" in err


def test_names_with_tabs_and_line_breaks_stay_in_their_cell(model: Path, capsys) -> None:
    pictures = [f"{name}.png" for name in ESCAPED]
    draw(*pictures)
    assert predict(model, *pictures, "--top", 4) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines.pop() == ""
    predictions = striate.load(model, device="cpu").predict(pictures)
    for line, told, prediction in zip(lines, ESCAPED.values(), predictions, strict=True):
        path, *cells = line.split("\t")
        assert path == f"{told}.png"
        assert set(cells[::2]) == set(ESCAPED.values())
        assert cells[0] == ESCAPED[prediction.label]
        assert [float(cell) for cell in cells[1::2]] == pytest.approx(
            sorted(prediction.probabilities.values(), reverse=True), abs=6e-5
        )


def test_json_keeps_names_exactly(model: Path, capsys) -> None:
    pictures = [f"{name}.png" for name in ESCAPED]
    draw(*pictures)
    assert predict(model, *pictures, "--json") == 0
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value["path"] for value in values] == pictures
    assert all(tuple(value["probabilities"]) == tuple(ESCAPED) for value in values)


def test_predict_says_what_it_left_aside_in_a_folder(run: Path, tmp_path: Path, capsys) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"x")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "c.png").symlink_to("nowhere.png")
    assert main(["predict", str(run), str(tmp_path)]) == 0
    err = capsys.readouterr().err
    for reason in (".heic is not read", "hidden", "dangling"):
        assert reason in err


def test_predict_names_bad_pictures_goes_on_and_exits_3(run: Path, photos: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("<html>")
    good = str(photos / "dark" / "00.png")
    assert main(["predict", str(run), good, str(bad), str(tmp_path / "absent.png"), good]) == 3
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert str(bad) in err
    assert "absent.png" in err


def test_how_many_of_how_many_could_be_used_is_told_last(model: Path, capsys) -> None:
    draw("many/a.png", "many/b.png")
    Path("many/cut.png").write_bytes(Path("many/a.png").read_bytes()[:45])
    with open("many/huge.png", "wb") as file:
        file.truncate(2**28 + 1)
    os.mkfifo("many/pipe.png")
    assert predict(model, "many", "--json") == 3
    out, err = capsys.readouterr()
    assert [Path(json.loads(line)["path"]).name for line in out.splitlines()] == ["a.png", "b.png"]
    for told in (
        "many/cut.png",
        "268,435,457 bytes (limit 268,435,456): many/huge.png",
        "not a regular file: many/pipe",
    ):
        assert told in err
    assert err.splitlines()[-1] == "note: 2 pictures classified, 3 not: exit code 3"


def test_a_folder_without_pictures_is_named_with_exit_3(model: Path, capsys) -> None:
    Path("empty/below").mkdir(parents=True)
    Path("empty/notes.txt").write_text("x")
    draw("a.png")
    assert predict(model, "empty", "a.png") == 3
    out, err = capsys.readouterr()
    assert out.startswith("a.png\t")
    assert "no pictures in this folder: empty" in err


@pytest.mark.parametrize("odd", ["absent.png", "x" * 300, "~nouser", "~nouser/x", "a.png/below", "loop", "text.png"])
def test_a_path_that_cannot_be_used_fails_alone(model: Path, capsys, odd: str) -> None:
    draw("a.png", "b.png")
    Path("loop").symlink_to("loop")
    Path("text.png").write_text("<html>")
    assert predict(model, "a.png", odd, "b.png") == 3
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == ["a.png", "b.png"]
    assert odd in err
    assert "fix:" in err


def test_a_folder_that_cannot_be_read_fails_alone(model: Path, capsys, monkeypatch) -> None:
    from striate.data.sources import scan

    draw("a.png", "locked/b.png", "c.png")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "locked")

    monkeypatch.setattr(scan, "_identity", refuse)  # a test may run as root, who may read everything
    assert predict(model, "a.png", "locked", "c.png") == 3
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == ["a.png", "c.png"]
    assert "Permission denied" in err


@pytest.mark.parametrize("odd", ["x" * 300, "~nouser", "a.png/below", "loop", "a.png", "empty"])
def test_a_run_that_is_none_is_a_model_file_error(model: Path, capsys, odd: str) -> None:
    draw("a.png")
    Path("loop").symlink_to("loop")
    Path("empty").mkdir()
    for arguments in (["predict", odd, "a.png"], ["evaluate", odd], ["evaluate", odd, "digits"]):
        assert main(arguments) == 4
        assert odd in capsys.readouterr().err


def test_an_unfinished_run_says_how_to_go_on(model: Path, capsys) -> None:
    run = Path("my run")
    run.mkdir()
    (run / "config.json").write_text("{}")
    for arguments in (["predict", str(run), "a.png"], ["evaluate", str(run)]):
        assert main(arguments) == 4
        assert "fix: striate train --resume 'my run'" in capsys.readouterr().err


def test_a_name_of_no_valid_bytes_is_predicted(model: Path) -> None:
    draw(os.fsdecode(b"\xff\xfe.png"))
    command = [sys.executable, "-m", "striate.cli.entry", "predict", str(model), ".", "--device", "cpu"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:surrogateescape"}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    path, *cells = done.stdout.rstrip(b"\n").split(b"\t")
    assert path == rb"\xff\xfe.png"
    assert len(cells) == 2


def test_the_pictures_are_drawn_with_what_they_are(model: Path, capsys) -> None:
    pictures = [f"{name}.png" for name in ESCAPED]
    draw(*pictures)
    assert predict(model, *pictures) == 0
    plain = capsys.readouterr().out
    assert predict(model, *pictures, "--figure", "grid.svg") == 0
    out, err = capsys.readouterr()
    assert out == plain, "the figure is not in the way of the lines"
    assert "grid.svg" in err
    assert Path("grid.svg").read_text().count("<image") == len(pictures)
    assert predict(model, *pictures, "--figure", "grid.svg") == 2
    assert predict(model, *pictures, "--figure", "grid.txt") == 2


def test_of_many_pictures_the_first_64_are_drawn_and_bad_ones_left_out(model: Path, capsys) -> None:
    draw(*(f"many/{number:02}.png" for number in range(66)))
    Path("many/00.png").write_bytes(b"")
    assert predict(model, "many", "--figure", "grid.svg") == 3
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 65
    assert "00.png" in err
    assert Path("grid.svg").read_text().count("<image") == 64
    assert predict(model, "many/00.png", "--figure", "none.png") == 3
    assert "no picture to draw" in capsys.readouterr().err
    assert not Path("none.png").exists()
