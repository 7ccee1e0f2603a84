"""A config file given with -c: obeyed, named where it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from striate.cli.main import main


def test_a_config_file_is_obeyed_and_options_win(photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("epochs: 9\nbatch-size: 7\nprecision: fp32\nlr: 0.01\n")
    arguments = ["train", str(photos), "-c", str(config), "--epochs", "1", "--out", str(tmp_path), "--name", "r"]
    assert main([*arguments, "--quiet"]) == 0
    settings = json.loads((tmp_path / "r" / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["batch_size"], settings["lr"]) == (1, 7, 0.01)


def test_a_runs_own_config_is_a_config_file(run: Path, photos: Path, tmp_path: Path) -> None:
    arguments = ["train", str(photos), "-c", str(run / "config.json"), "--out", str(tmp_path), "--name", "again"]
    assert main([*arguments, "--quiet"]) == 0
    first, again = ((folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "again"))
    assert first == again


def test_a_config_may_come_through_a_pipe(tmp_path: Path) -> None:
    line = f"{sys.executable} -m striate.cli.entry train digits -c <(echo 'epochs: 1') --out {tmp_path} --first 100"
    assert subprocess.run(["bash", "-c", line], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learing_rate: 1", "learing_rate"),
        ("lr: fast", "lr"),
        ("epochs: 0", "epochs"),
        ("epochs: [1", "config file"),
        ("ephocs: 3", "epochs"),
    ],
)
def test_a_wrong_config_file_is_named_with_its_key(text: str, told: str, tmp_path: Path, capsys) -> None:
    config = tmp_path / "s.yaml"
    config.write_text(text)
    assert main(["train", "digits", "-c", str(config), "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert str(config) in err
