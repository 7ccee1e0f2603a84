"""`striate convolve`: what it computes, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, signal

from striate.cli.main import main

SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def short_animations(monkeypatch) -> None:
    monkeypatch.setattr("striate.explain.convolution.MAX_FRAMES", 2)
    monkeypatch.setattr("striate.explain.convolution.MAX_PHOTOGRAPH_FRAMES", 2)


def computed(capsys, *arguments: str) -> list[dict]:
    assert main(["convolve", *arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)["slides"]


def refused(capsys, *arguments: str) -> tuple[int, str]:
    code = main(["convolve", *arguments])
    assert not list(Path().glob("convolve-*")), "nothing is written"
    return code, capsys.readouterr().err


def save_photograph(path: Path, shape: tuple[int, ...] = (30, 40, 3)) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return np.asarray(Image.fromarray(pixels).convert("L")).astype(float)


def test_the_documents_example_is_computed_and_drawn(capsys) -> None:
    assert main(["convolve", "document"]) == 0
    out, err = capsys.readouterr()
    assert "picture, kernel\tconvolution\t4×4 → 4×4" in out
    assert err == ""
    with Image.open("convolve-document.png") as figure:
        assert figure.format == "PNG"
    with Image.open("convolve-document.gif") as animation:
        assert (animation.format, animation.n_frames) == ("GIF", 16), "one frame per step"
    assert main(["convolve", "document", "--stride", "3", "--json"]) == 0, "our own figures are replaced"
    (slide,) = json.loads(capsys.readouterr().out)["slides"]
    assert slide["output"] == [[11, 13], [11, 9]]
    assert slide["zeros"] == [[1, 1], [1, 1]]


@pytest.mark.usefixtures("short_animations")
def test_a_photograph_is_taken_in_grey(capsys) -> None:
    grey = save_photograph(Path("photo.png"))
    (slide,) = computed(capsys, "photo.png", "--kernel", "1,0,-1;2,0,-2;1,0,-1", "--padding", "1,0")
    expected = signal.correlate2d(np.pad(grey, ((1, 1), (0, 0))), -np.array(SOBEL), "valid")
    assert np.array_equal(slide["output"], expected)
    assert Path("convolve-photo.png").is_file()
    assert Path("convolve-photo.gif").is_file()


@pytest.mark.usefixtures("short_animations")
def test_options_change_an_example(capsys) -> None:
    (slide,) = computed(capsys, "diagonal", "--kernel=-1,0,1;-2,0,2;-1,0,1", "--padding", "same", "--out", "figures")
    assert np.array_equal(slide["output"], ndimage.sobel(np.eye(5), axis=1, mode="constant"))
    (slide,) = computed(capsys, "diagonal", "--pool", "average", "--size", "3,2", "--stride", "2,1")
    assert np.array_equal(slide["output"], np.round(np.array(slide["output"]) * 6) / 6)
    assert slide["window"] == [3, 2]
    assert np.shape(slide["output"]) == (2, 4)
    (slide,) = computed(capsys, "pooling", "--kernel", "box-blur")
    assert slide["operation"] == "cross-correlation"
    (slide,) = computed(capsys, "document", "--no-flip")
    x, w = slide["picture"], slide["kernel"]
    assert np.array_equal(slide["output"], signal.correlate2d(x, w, "same"))
    assert sorted(path.name for path in Path("figures").iterdir()) == ["convolve-diagonal.gif", "convolve-diagonal.png"]


@pytest.mark.usefixtures("short_animations")
def test_a_large_photograph_is_made_smaller_and_that_is_said(capsys) -> None:
    save_photograph(Path("large.png"), (100, 960))
    assert main(["convolve", "large.png", "--pool", "max", "--size", "10"]) == 0
    out, err = capsys.readouterr()
    assert "50×480 → 5×48" in out
    assert "100×960 pixels were made 50×480 first" in err


def test_without_a_target_examples_and_kernels_are_listed(capsys) -> None:
    assert main(["convolve"]) == 0
    out = capsys.readouterr().out
    for name in ("document", "diagonal", "lines", "pooling", "invariance", "signal", "sobel-vertical"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["diagnal"], 2, "did you mean 'diagonal'?"),
        (["missing.png"], 3, "picture not found: missing.png"),
        (["document", "--kernel", "sobl-vertical"], 2, "did you mean 'sobel-vertical'?"),
        (["document", "--kernel", "1,2;3"], 2, "all of equal length"),
        (["document", "--padding", "reflect"], 2, "expected same, valid, full, a whole number"),
        (["document", "--padding", "-1"], 2, "from 0 up"),
        (["document", "--padding", "1,2,3"], 2, "expected 2 paddings"),
        (["document", "--stride", "0"], 2, "from 1 up"),
        (["document", "--stride", "1.5"], 2, "expected a whole number"),
        (["document", "--size", "3"], 2, "add --pool max"),
        (["document", "--pool", "max", "--kernel", "diagonal"], 2, "pooling has no kernel"),
        (["document", "--pool", "median"], 2, "--pool"),
        (["document", "--pool", "max", "--size", "5"], 2, "a window of 5 does not fit into 4 values"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, code, message, capsys) -> None:
    given, err = refused(capsys, *arguments)
    assert given == code
    assert message in err
    assert "our own mistake" not in err


def test_a_file_that_is_not_a_picture_is_refused(capsys) -> None:
    Path("notes.png").write_text("no picture")
    code, err = refused(capsys, "notes.png")
    assert code == 3
    assert "not a picture of an allowed format" in err


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_other_peoples_files_are_never_overwritten(suffix, capsys) -> None:
    path = Path(f"convolve-diagonal.{suffix}")
    Image.new("L", (5, 5)).save(path)
    before = path.read_bytes()
    assert main(["convolve", "diagonal"]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert list(Path().iterdir()) == [path]


@pytest.mark.usefixtures("short_animations")
def test_an_output_folder_that_is_a_file_is_named(capsys) -> None:
    Path("figures").write_text("in the way")
    assert main(["convolve", "diagonal", "--out", "figures"]) == 6
    assert "figures" in capsys.readouterr().err
