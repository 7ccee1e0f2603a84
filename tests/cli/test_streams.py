"""Standard output and error that close, are full or know few letters: results told from messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def striate(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "striate.cli.entry", *map(str, arguments)]
    return subprocess.run(command, text=True, **{"capture_output": True, **options})  # type: ignore[call-overload]


def test_the_reader_of_our_output_may_go_away(run: Path, photos: Path) -> None:
    command = f"{sys.executable} -m striate.cli.entry predict {run} {photos}/dark | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", ["data list", "doctor", "evaluate {run}", "train digits --epochs 1 --out {out}"])
def test_a_reader_that_leaves_at_once_is_no_error(command: str, run: Path, tmp_path: Path) -> None:
    line = command.format(run=run, out=tmp_path)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m striate.cli.entry {line} | true"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_results_that_cannot_be_written_are_the_machines_matter() -> None:
    with open("/dev/full", "w") as full:
        done = striate("data", "list", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert "No space left on device" in done.stderr
    assert "Exception ignored" not in done.stderr
    closed = subprocess.run(["bash", "-c", f"{sys.executable} -m striate.cli.entry data list >&- 2>&-"])
    assert closed.returncode == 0


def test_answers_are_not_lost_in_silence(run: Path, photos: Path, tmp_path: Path) -> None:
    """Where standard output is full or closed; a file of answers needs none."""
    with open("/dev/full", "w") as full:
        picture = photos / "dark" / "00.png"
        done = striate("predict", run, picture, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.splitlines()[0]) == (6, "error: No space left on device: standard output")
    command = f"{sys.executable} -m striate.cli.entry predict {run} {photos}/dark/00.png"
    done = subprocess.run(["bash", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 6
    assert "standard output is closed" in done.stderr
    assert subprocess.run(["bash", "-c", f"{command} --out {tmp_path}/a.csv >&-"]).returncode == 0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_messages_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = striate("train", "nosuch", capture_output=False, stderr=full, stdout=subprocess.DEVNULL)
        assert done.returncode == 3
        options = ["--epochs", "1", "--out", tmp_path]
        done = striate("train", "digits", *options, capture_output=False, stderr=full, stdout=subprocess.DEVNULL)
        assert done.returncode == 0
        assert striate("--version", capture_output=False, stdout=full, stderr=full).returncode == 6
    assert (tmp_path / "digits" / "model.safetensors").is_file()


def test_names_beyond_the_terminals_alphabet_are_spelt_out(picture_folder) -> None:
    folder = picture_folder(кошки=3, 犬=3)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = striate("data", "show", folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert r"\u043a" in done.stdout


def test_json_is_json_in_every_encoding(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "é😀.png"
    Image.new("RGB", (9, 9)).save(picture)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = striate("predict", run, picture, "--json", env=environment)
    assert json.loads(done.stdout)["path"] == str(picture)
