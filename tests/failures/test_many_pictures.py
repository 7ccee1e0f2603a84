"""Reading a large folder: shown on a terminal and nowhere else, and ended at once by Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from striate.cli.main import main
from striate.cli.reading import ReadingLine
from striate.core.settings import DataSettings
from striate.data.parallel import decode_here
from striate.data.reading import READING, Reading
from striate.data.sources.folder import load_folder

from .folder_state import state
from .terminal import on_a_terminal


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Return a folder that takes seconds to decode: one picture under many names."""
    folder = tmp_path / "pictures"
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(noise).save(tmp_path / "one.png", compress_level=1)
    for number in range(1000):
        os.link(tmp_path / "one.png", folder / "ab"[number % 2] / f"{number:04}.png")
    return folder


def test_the_progress_is_shown_and_ctrl_c_ends_the_reading_within_two_seconds(slow: Path) -> None:
    before = state(slow)
    outcome = on_a_terminal(["train", str(slow), "--img-size", "64"], {}, lambda _, shown: "1,000 pictures" in shown)
    assert outcome.code == -signal.SIGINT, outcome.shown
    assert outcome.after_signal < 2
    assert "reading" in outcome.shown
    assert "\x1b[?25l" not in outcome.shown, "the cursor would stay hidden"
    assert state(slow) == before
    assert not (slow.parent / "runs").exists()


def test_without_a_terminal_nothing_is_shown(picture_folder, capsys) -> None:
    assert main(["data", "show", str(picture_folder(cats=3, dogs=3))]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "reading" not in out


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize(
    "reading", [Reading(), Reading(found=1234), Reading(total=100_000), Reading(total=100_000, done=25_000)]
)
def test_the_line_fits_the_terminal_and_says_how_far_it_is(reading: Reading, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(ReadingLine(reading))
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= width
    assert ReadingLine(Reading(fetched="https://hub/w.pth")).text(80) == "fetching https://hub/w.pth"
    text = ReadingLine(reading).text(200)
    if reading.done:
        assert "25,000 of 100,000" in text
        assert (text.count("━"), text.count("╌")) == (8, 22)
        assert "left" in text


def test_what_is_shown_is_what_has_been_read(picture_folder, monkeypatch) -> None:
    seen = []

    def watched(*arguments, **options):
        seen.append((READING.total, READING.done, READING.found))
        return decode_here(*arguments, **options)

    monkeypatch.setattr("striate.data.parallel.decode_here", watched)
    monkeypatch.setattr("striate.data.parallel._CHUNK_FILES", 2)
    monkeypatch.setattr("striate.data.parallel.usable_cores", lambda: 1)
    load_folder(picture_folder(cats=4, dogs=3), DataSettings())
    assert {total for total, _, _ in seen} == {7}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert (READING.total, READING.done, READING.found) == (0, 7, 0)
