"""Commands that must refuse, or go on, and leave the user's files alone either way."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from striate.cli.main import main

from .folder_state import state

QUICK = ["--epochs", "1", "--precision", "fp32", "--device", "cpu"]
NOBODY = 65534


@pytest.fixture
def refused(tmp_path: Path, capsys) -> Callable[..., str]:
    """Return a function that runs a command, asserts that it is refused as it should be, and returns the message.

    refused(["train", folder], 3, "what", "must", "be told"): a few lines for a person, with a remedy, and no file below
    the test's folder is another one than before.
    """

    def check(arguments: list[object], code: int, *told: str, lines: int = 5) -> str:
        before = state(tmp_path)
        arguments = [*arguments, "--out", tmp_path / "runs"] if arguments[0] == "train" else arguments
        assert main([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        assert state(tmp_path) == before
        assert out == ""
        assert "error: " in err
        assert "fix: " in err
        for text in told:
            assert text in err
        assert "Traceback" not in err
        assert "our own mistake" not in err
        assert len(err.splitlines()) <= lines, err
        return err

    return check


@pytest.fixture
def trained(tmp_path: Path, capsys) -> Callable[..., tuple[Path, str]]:
    """Return a function that trains on a folder, asserts that it is left alone, and gives the run and the messages."""

    def check(folder: Path, *options: object, data: str | None = None, out: Path | None = None) -> tuple[Path, str]:
        before = state(folder)
        runs = out or tmp_path / "runs"
        name = f"run{len(list(runs.iterdir())) if runs.exists() else 0}"
        arguments = ["train", data or folder, *QUICK, *options, "--out", runs, "--name", name]
        code = main([str(argument) for argument in arguments])
        err = capsys.readouterr().err
        assert code == 0, err
        assert state(folder) == before
        assert "Traceback" not in err
        return runs / name, err

    return check


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[Path]:  # which is made before the privileges are given up
    """Go on as a user without privileges, for whom permissions count; return a folder that this user may write to."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o777)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield place
    finally:
        os.seteuid(user)
        for folder, _, _ in os.walk(place):
            os.chmod(folder, 0o777)
        shutil.rmtree(place)
