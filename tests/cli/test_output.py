"""What the live line says, and that it fits the terminal."""

from __future__ import annotations

import io
import time

import pytest
import torch
from rich.console import Console

from striate.cli.output import LiveLine, percent
from striate.runs.progress import Progress


def progress(step: int) -> Progress:
    return Progress(
        epoch=3, epochs=20, step=step, steps=1000, images=64 * step, lr=0.0123, count=100,
        started=time.monotonic() - 50,
        loss_sum=torch.tensor(61.11), correct=torch.tensor(98),
    )  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("step", [1, 500, 1000])
def test_the_live_line_is_one_line_of_the_terminals_width(width: int, step: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(LiveLine(progress(step)))
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= width


def test_the_live_line_tells_loss_accuracy_rate_speed_time_and_memory_in_eighty_columns() -> None:
    line = LiveLine(progress(500)).text(80)
    for told in ("3/20", "loss 0.6111", "acc 0.9800", "lr 0.012", "640 img/s", "50.0 s left", "GiB"):
        assert told in line
    assert LiveLine(progress(500)).text(120).count("━") == 15, "half of the bar at half of the steps"
    assert LiveLine(Progress()).text(80) == "starting …"


def test_an_accuracy_comes_with_its_interval() -> None:
    assert percent(0.9243, (0.9190, 0.9293)) == "92.43 % (95 %: 91.90–92.93)"
