"""`striate predict --engine`, and how far it is on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from striate.cli.main import main
from striate.deploy.engine import worth
from striate.deploy.engine.engine import ENGINES


@pytest.fixture
def model(make_spec, save_untrained, tmp_path: Path, monkeypatch) -> Path:
    """Return a model file; its folder is the current one, and holds two pictures; nothing has been kept of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    Path("photos").mkdir()
    for number in range(2):
        Image.new("L", (16, 16), 90 * number + 3).save(f"photos/{number}.png")
    return save_untrained(make_spec(side=16, classes=3))


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def test_every_engine_answers_alike(model: Path, capsys) -> None:
    pytest.importorskip("onnxruntime")
    said = []
    for engine in ("auto", "torch", "onnx"):
        assert predict(model, "photos", "--engine", engine) == 0
        out, err = capsys.readouterr()
        assert err == ""
        said.append(out)
    assert said[0] == said[1] == said[2]
    assert predict(model, "photos", "--engine", "onx") == 2
    assert "onnx" in capsys.readouterr().err


def test_a_race_is_told_of_once(model: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(worth, "worth_choosing", lambda *_: True)
    monkeypatch.setattr(ENGINES, "_entries", {name: ENGINES[name] for name in ("torch", "bf16")})
    assert predict(model, "photos") == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: engine torch ")
    assert "bf16" in note
    assert predict(model, "photos") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_how_far_it_is_is_shown_on_a_terminal_alone(model: Path, monkeypatch, terminal: bool) -> None:
    from striate.cli import output

    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    monkeypatch.setattr(output, "stderr", lambda: console)
    assert predict(model, "photos", "--out", "answers.csv") == 0
    assert ("classified" in shown.getvalue()) is terminal


def test_an_engine_that_does_not_exist_is_refused_before_anything_is_read(capsys) -> None:
    assert predict("absent", "photos", "--engine", "ONNX") == 2
    err = capsys.readouterr().err
    assert "unknown engine: --engine ONNX\nfix: did you mean 'onnx'? Known: auto, bf16, folded, onnx, torch\n" in err
