"""How sure a network is, on the command line: training, measuring, predicting and inspecting say the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate.cli.main import main

from .quick_run import QUICK


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str, str]:
    """Return a run on digits with a promise of 5 %, and what its training wrote to stdout and stderr."""
    import contextlib
    import io

    folder, out, err = tmp_path_factory.mktemp("runs"), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main(["train", "digits", *QUICK, "--error-rate", "0.05", "--out", str(folder), "--name", "d"]) == 0
    return folder / "d", out.getvalue(), err.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Return a digit, a blend of two digits, and nothing."""
    from striate.core.settings import TrainSettings
    from striate.data.sources import open_data

    test = open_data("digits", TrainSettings(), 0).test.images[:, 0].numpy()
    arrays = {"digit": test[0], "blend": test[0] // 2 + test[1] // 2, "black": np.zeros((8, 8), np.uint8)}
    for name, array in arrays.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    return [str(tmp_path / f"{name}.png") for name in arrays]


def test_training_tells_in_one_line_what_calibration_came_to(trained) -> None:
    run, out, _ = trained
    test = json.loads((run / "evaluation.json").read_bytes())["test"]
    figures = test["calibration"]
    (line,) = (line for line in out.splitlines() if line.startswith("certainty"))
    assert f"{figures['after']['ece']:.4f} (95 %: " in line
    assert f"{figures['before']['ece']:.4f} before" in line
    assert "on test" in line
    (line,) = (line for line in out.splitlines() if line.startswith("accepted"))
    assert f"of {test['accepted']['count']:,}" in line
    assert f"{100 * test['accepted']['accuracy']:.2f} %" in line


def test_evaluate_tells_all_figures_and_which_part_they_were_fitted_to(trained, capsys) -> None:
    run, _, _ = trained
    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    for told in (
        "classwise",
        "Brier score",
        "negative log-likelihood",
        "accepted",
        "look unlike the training pictures",
    ):
        assert told in out
    assert "cross-fitted" not in out
    assert main(["evaluate", str(run), "--part", "val"]) == 0
    out = capsys.readouterr().out
    assert "cross-fitted" in out
    assert "the threshold was set on these" in out


def test_predict_says_dont_know_and_what_looks_unknown(trained, pictures, capsys) -> None:
    run, _, _ = trained
    predictions = striate.load(run, device="cpu").predict(pictures)
    assert {p.accepted for p in predictions} == {True, False}
    assert {p.unknown for p in predictions} == {True, False}
    assert main(["predict", str(run), *pictures]) == 0
    for line, p in zip(capsys.readouterr().out.splitlines(), predictions, strict=True):
        path, said, probability, *remarks = line.split("\t")
        assert (path, float(probability)) == (p.name, pytest.approx(p.probability, abs=6e-5))
        assert said == (p.label if p.accepted else "don't know")
        assert remarks == (["unlike the training pictures"] if p.unknown else [])
    assert main(["predict", str(run), *pictures, "--json"]) == 0
    for line, p in zip(capsys.readouterr().out.splitlines(), predictions, strict=True):
        value = json.loads(line)
        assert (value["label"], value["accepted"], value["unknown"]) == (p.label, p.accepted, p.unknown)
        assert value["unknown_score"] == pytest.approx(p.unknown_score)
    assert main(["predict", str(run), *pictures, "--top", "2"]) == 0
    for line, p in zip(capsys.readouterr().out.splitlines(), predictions, strict=True):
        assert ("don't know" in line.split("\t")[5:]) == (not p.accepted)
        assert line.split("\t")[1] == p.label


def test_inspect_tells_the_rules(trained, capsys) -> None:
    run, _, _ = trained
    card = striate.load(run, device="cpu").card
    assert main(["inspect", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"temperature {card.calibration.temperature:.3g}" in out
    assert f"don't know below a probability of {card.calibration.reject_below:.4f}, for 5 % errors" in out
    assert f"beyond {card.calibration.unknown.threshold:.4g}" in out
    assert main(["inspect", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["calibration"] == card.calibration.model_dump(mode="json")


def test_a_promise_that_cannot_be_made_is_refused_before_training(tmp_path: Path, capsys) -> None:
    arguments = ["train", "digits", *QUICK, "--out", str(tmp_path / "runs")]
    assert main([*arguments, "--error-rate", "0.01"]) == 2
    assert "230 validation pictures" in capsys.readouterr().err
    assert main([*arguments, "--error-rate", "0.1", "--reject-below", "0.5"]) == 2
    assert not (tmp_path / "runs").exists()


def test_the_reliability_diagram_is_drawn_and_never_over_a_file(trained, tmp_path: Path, capsys) -> None:
    run, _, _ = trained
    figure = tmp_path / "reliability.png"
    assert main(["evaluate", str(run), "--reliability", str(figure)]) == 0
    assert f"figure     {figure}" in capsys.readouterr().out
    with Image.open(figure) as picture:
        assert min(picture.size) > 300
    assert main(["evaluate", str(run), "--reliability", str(figure)]) == 2
    assert main(["evaluate", str(run), "--reliability", str(tmp_path / "x.txt")]) == 2


def test_without_calibration_there_is_no_before(make_spec, save_untrained, picture_folder, capsys) -> None:
    spec = make_spec(channels=3, side=16, classes=2).model_copy(update={"classes": ("cats", "dogs")})
    assert main(["evaluate", str(save_untrained(spec)), str(picture_folder(cats=4, dogs=4))]) == 0
    out = capsys.readouterr().out
    assert "not calibrated" in out
    assert "classwise" in out
    assert "before" not in out
