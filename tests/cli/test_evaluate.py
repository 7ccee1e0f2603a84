"""`striate evaluate`: what it measures of a folder, and how it says what it left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from striate.cli.main import main


@pytest.fixture
def model(make_spec, save_untrained) -> Path:
    """Return the model file of a network that knows cats and dogs."""
    return save_untrained(make_spec(channels=3, side=16, classes=2).model_copy(update={"classes": ("cats", "dogs")}))


def test_evaluate_repeats_what_training_measured(run: Path, capsys) -> None:
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "evaluation.json").read_text())["test"]
    assert main(["evaluate", str(run)]) == 0
    assert "confusion" in capsys.readouterr().out


def test_one_class_is_enough(model: Path, picture_folder, capsys) -> None:
    folder = picture_folder(dogs=1)
    assert main(["evaluate", str(model), str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["part"], result["count"]) == ("all", 1)
    assert [score["count"] for score in result["per_class"]] == [0, 1]


def test_the_part_that_is_measured_is_told(model: Path, picture_folder, capsys) -> None:
    (model.parent / "split").mkdir()
    picture_folder(root="split/test", dogs=2)
    assert main(["evaluate", str(model), str(model.parent / "split")]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("test ")
    assert "of 2 pictures" in first


def test_bad_pictures_exit_3_or_are_left_out_with_their_count(model: Path, picture_folder, capsys) -> None:
    folder = picture_folder(dogs=2, cats=1)
    (folder / "dogs" / "bad.png").write_bytes(b"")
    assert main(["evaluate", str(model), str(folder)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "bad.png" in err
    assert "--skip-bad" in err
    assert main(["evaluate", str(model), str(folder), "--skip-bad", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["count"] == 3
    assert "note: 1 unreadable" in err


def test_a_class_without_pictures_is_told_with_the_denominators(model: Path, picture_folder, capsys) -> None:
    assert main(["evaluate", str(model), str(picture_folder(dogs=1))]) == 0
    out, err = capsys.readouterr()
    assert "note: no picture of cats: figures are of 1 of 2 classes; to take a picture for one of the others" in err
    assert out.splitlines()[0].endswith(" of 1 picture")


def test_unknown_classes_exit_3(model: Path, picture_folder, capsys) -> None:
    assert main(["evaluate", str(model), str(picture_folder(ants=2, dogs=1))]) == 3
    assert "ants" in capsys.readouterr().err
    assert main(["evaluate", str(model), "digits"]) == 3


@pytest.mark.parametrize(
    ("odd", "code"), [("x" * 300, 3), ("~nouser", 3), ("~nouser/x", 3), ("loop", 3), ("absent", 3), ("", 2)]
)
def test_a_folder_that_is_none_is_told(model: Path, tmp_path: Path, monkeypatch, capsys, odd: str, code: int) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    assert main(["evaluate", str(model), odd]) == code
    assert "fix:" in capsys.readouterr().err


def test_the_mistakes_are_drawn_and_the_result_stays_json(model: Path, picture_folder, tmp_path, capsys) -> None:
    folder, figure = picture_folder(dogs=3, cats=3), tmp_path / "mistakes.svg"
    assert main(["evaluate", str(model), str(folder), "--figure", str(figure), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["correct"] < 6, "there is a mistake to draw"
    assert figure.read_text().count("<image") == 6 - result["correct"]
    assert main(["evaluate", str(model), str(folder), "--figure", str(figure)]) == 2, "nothing is written over"
    assert "file exists" in capsys.readouterr().err
    assert main(["evaluate", str(model), str(folder), "--figure", str(tmp_path / "x.png")]) == 0
    assert f"figure     {tmp_path / 'x.png'}" in capsys.readouterr().out
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) > 100


@pytest.mark.parametrize("odd", ["x" * 300 + ".csv", "loop.csv"])
def test_a_place_for_predictions_that_cannot_be_is_told(model: Path, picture_folder, monkeypatch, capsys, odd) -> None:
    folder = picture_folder(dogs=1)
    monkeypatch.chdir(folder.parent)
    Path("loop.csv").symlink_to("loop.csv")
    assert main(["evaluate", str(model), str(folder), "--predictions", odd]) == 2
    assert odd in capsys.readouterr().err


def test_one_class_of_a_named_data_set_is_enough(tmp_path: Path, capsys) -> None:
    options = ["--epochs", "1", "--first", "200", "--precision", "fp32", "--device", "cpu", "--out", str(tmp_path)]
    assert main(["train", "digits", *options, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "digits"), "digits:3", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    (three,) = (score for score in result["per_class"] if score["count"])
    assert (three["name"], three["count"]) == ("3", result["count"])
    whole = json.loads((tmp_path / "digits" / "evaluation.json").read_text())["test"]["per_class"]
    assert three["recall"] == result["accuracy"] == whole[3]["recall"]
    assert "no picture of 0, 1, 2, 4, 5, 6, 7, 8, 9: figures are of 1 of 10 classes" in err
    assert main(["evaluate", str(tmp_path / "digits"), "digits:3,eleven"]) == 2
    assert "eleven" in capsys.readouterr().err
