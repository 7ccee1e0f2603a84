"""`striate style`: the picture, what is said on the way, what is refused, and Ctrl-C."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate.cli.main import main
from striate.runs.model_file import load_model, weights_digest
from striate.style import transfer
from tests.style.looking import stripes


@pytest.fixture
def here(tmp_path: Path, monkeypatch, make_spec, save_untrained) -> Path:
    """Return the current folder, with two pictures and a model file."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(stripes(30, 40, 40)).save("photo.png")
    Image.fromarray(stripes(32, 32, 6)).save("painting.png")
    save_untrained(make_spec(channels=3, side=16))
    return tmp_path


def styled(*arguments: object) -> int:
    quick = ["--network", "m.safetensors", "--size", "40", "--steps", "4", "--device", "cpu"]
    given = list(map(str, arguments))
    return main(["style", "photo.png", "painting.png", *given, *_without(quick, given)])


def size(file: str) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def pixels(file: str) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)


def _without(pairs: list[str], given: list[str]) -> list[str]:
    return [
        word for key, value in zip(pairs[::2], pairs[1::2], strict=True) if key not in given for word in (key, value)
    ]


def test_a_picture_is_written_and_the_next_one_beside_it(here: Path, capsys) -> None:
    assert styled() == 0
    assert styled("--optimizer", "adam", "--init", "noise", "--seed", 3) == 0
    said = capsys.readouterr()
    assert size("photo-styled.png") == (40, 30)
    assert size("photo-styled-2.png") == (40, 30)
    assert "picture    photo-styled.png" in said.out
    assert "network    m.safetensors: asked for" in said.err
    assert "step 4/4  content " in said.err
    assert "\x1b" not in said.err + said.out, "no live line without a terminal"


def test_json_says_all_of_it_and_python_gives_the_same_picture(here: Path, capsys) -> None:
    before = weights_digest(load_model(Path("m.safetensors")).model.state_dict())
    assert styled("--json", "--quiet", "--out", "new.png", "--previews", 2) == 0
    said = capsys.readouterr()
    assert said.err == ""
    told = json.loads(said.out)
    assert (told["picture"], told["height"], told["width"], told["steps"]) == ("new.png", 30, 40, 4)
    assert told["last"]["style"] < told["first"]["style"]
    assert told["previews"] == ["new-step-0001.png", "new-step-0003.png"]
    assert all(Path(preview).is_file() for preview in told["previews"])
    options = {"network": "m.safetensors", "size": 40, "steps": 4, "device": "cpu"}
    result = striate.transfer_style("photo.png", "painting.png", **options)
    assert np.array_equal(result.picture, pixels("new.png"))
    assert result.final.style == told["last"]["style"]
    assert (result.content_layer, list(result.style_layers)) == (told["content_layer"], told["style_layers"])
    arrays = [pixels(name) for name in ("photo.png", "painting.png")]
    again = striate.transfer_style(*arrays, **options)
    assert np.array_equal(again.picture, result.picture)
    result.save("by-python.png")
    assert Path("by-python.png").read_bytes() == Path("new.png").read_bytes()
    assert weights_digest(load_model(Path("m.safetensors")).model.state_dict()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--size", "0"], 2, "size = 0"),
        (["--steps", "0"], 2, "steps = 0"),
        (["--style-weight", "-1"], 2, "style_weight"),
        (["--optimizer", "sgd"], 2, "--optimizer"),
        (["--stile-weight", "1"], 2, "--style-weight"),
        (["--content-layer", "relu4_2"], 2, "no such layer: relu4_2"),
        (["--style-layers", "stage1,stage9"], 2, "no such layer: stage9"),
        (["--network", "vgg91"], 2, "no such network"),
        (["--network", "painting.png"], 4, "painting.png"),
        (["--out", "photo.png"], 2, "file exists"),
        (["--out", "new.txt"], 2, "end it in .png"),
        (["--out", "no/such/new.png"], 2, "no such folder"),
        (["--previews", "4"], 2, "fewer than --steps"),
        (["--previews", "30", "--steps", "1"], 2, "--previews 0"),
        (["--device", "cuda:99"], 2, "--device cpu"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(here: Path, capsys, arguments, code, told) -> None:
    before = sorted(here.iterdir())
    assert styled(*arguments) == code
    error = capsys.readouterr().err
    assert told in error
    assert "fix: " in error
    assert "train --help" not in error
    assert "options" not in error
    assert sorted(here.iterdir()) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that nobody may write to")
def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "prepare", lambda *_: pytest.fail("time was spent"))
    assert styled("--out", "/proc/self/new.png") == 6
    error = capsys.readouterr().err
    assert "/proc/self" in error
    assert "fix: give --out" in error


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        (("photo.png", "missing.png"), "picture not found: missing.png"),
        (("text.jpg", "painting.png"), "text.jpg"),
        (("line.png", "painting.png"), "line.png"),
    ],
)
def test_pictures_that_cannot_be_used_are_named(here: Path, capsys, pictures, told) -> None:
    Path("text.jpg").write_text("once upon a time")
    Image.new("L", (500, 1)).save("line.png")
    assert main(["style", *pictures, "--network", "m.safetensors"]) == 3
    assert told in capsys.readouterr().err


def test_a_preview_is_not_written_over(here: Path, capsys) -> None:
    Path("new-step-0002.png").write_text("mine")
    assert styled("--out", "new.png", "--previews", 1) == 2
    assert "new-step-0002.png" in capsys.readouterr().err
    assert Path("new-step-0002.png").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_what_there_is(here: Path, capfd, monkeypatch, number) -> None:
    steps = transfer.Transfer.steps

    def interrupted(self):
        for count, losses in enumerate(steps(self), 1):
            if count == 2:
                signal.raise_signal(number)
            yield losses

    monkeypatch.setattr(transfer.Transfer, "steps", interrupted)
    handler = signal.getsignal(number)
    assert styled("--out", "new.png") == 128 + number
    assert "stopped after 2 of 4 steps" in capfd.readouterr().err
    assert size("new.png") == (40, 30)
    assert signal.getsignal(number) == handler


def test_a_size_that_does_not_fit_is_lowered_with_a_note(here: Path, capsys, monkeypatch) -> None:
    from striate.style import memory

    monkeypatch.setattr(memory, "free_memory", lambda: 5 * 2**20)
    assert styled("--out", "new.png", "--size", 512) == 0
    assert "note: " in (error := capsys.readouterr().err)
    side = max(size("new.png"))
    assert f"the size is {side}" in error
    assert 16 <= side < 512
