"""A run stopped by a signal or an interruption, and the command that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from striate.cli.main import main

from .quick_run import QUICK


def test_resume_alone_takes_the_newest_unfinished_run(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    from striate.core.errors import Interrupted
    from striate.training import loop

    original = loop.TrainingState.after_step

    def stop(self, loss, logits, labels) -> None:
        original(self, loss, logits, labels)
        if self.step == 3:
            raise Interrupted(2, "stop here")

    monkeypatch.setattr(loop.TrainingState, "after_step", stop)
    assert main(["train", "digits", *QUICK, "--quiet"]) == 130
    monkeypatch.setattr(loop.TrainingState, "after_step", original)
    assert main(["train", "--resume", "--quiet"]) == 0
    assert (tmp_path / "runs" / "digits" / "model.safetensors").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_saves_and_the_printed_command_goes_on(
    tmp_path: Path, number: int, code: int
) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "striate.cli.entry", "train", "digits", "--epochs", "200", "--precision", "fp32"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert f"striate train --resume {tmp_path / 'digits'}" in err
    assert len(list((tmp_path / "digits" / "checkpoints").glob("step-*"))) == 1
    done = subprocess.run(
        [sys.executable, "-m", "striate.cli.entry", "train", "--resume", str(tmp_path / "digits"), "--epochs", "300"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "epochs: 200 in the run, 300 given" in done.stderr
