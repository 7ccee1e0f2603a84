"""What a program tells of its course: the time of its training alone, and the test part after every epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.contest import run_program
from benchmarks.documents import clock
from benchmarks.documents.clock import Clock
from benchmarks.documents.program import Program
from benchmarks.peers import __main__ as peers
from benchmarks.peers import in_torch
from benchmarks.peers.task import Task, report


def hands(monkeypatch, name: str, *times: float) -> None:
    moments: Iterator[float] = iter(times)
    monkeypatch.setattr(time, name, lambda: next(moments))


def test_the_clock_counts_from_the_process_and_leaves_out_what_is_between_epochs(monkeypatch) -> None:
    monkeypatch.setattr(clock, "STARTED", 1000.0)
    hands(monkeypatch, "time", 1007.5)  # looked at once, before the first epoch
    hands(monkeypatch, "perf_counter", 1.0, 3.0, 13.0, 16.5)
    one = Clock()
    for _ in range(2):
        one.start()
        one.stop()
    assert one.start_s == 7.5
    assert one.training_s == [2.0, 3.5]


def test_a_program_is_told_when_its_process_was_started(tmp_path: Path) -> None:
    text = (
        "import json, time\nfrom benchmarks.documents.clock import STARTED\nprint(json.dumps([STARTED, time.time()]))"
    )
    (tmp_path / "teller.py").write_text(text)
    root = Path(peers.__file__).parents[2]
    before = time.time()
    started, now = run_program("teller", PYTHONPATH=f"{tmp_path}:{root}").said
    assert before <= started < now <= time.time()


def task(epochs: int) -> Task:
    """Return two classes that differ in the sign of every pixel."""
    signs = torch.arange(64) % 2
    pictures = TensorDataset((2.0 * signs[:, None] - 1) * torch.ones(64, 4), signs)
    program = Program(lambda: nn.Linear(4, 2), lambda folder: (pictures, pictures), torch.optim.SGD, {"lr": 1.0}, 8, 5)
    return Task("separable", program, epochs, pictures, pictures)


def test_a_peer_measures_after_every_epoch(monkeypatch, capsys) -> None:
    monkeypatch.setattr(in_torch, "read_task", lambda doc: task(3))
    in_torch.main()
    said = json.loads(capsys.readouterr().out)
    assert said["test_accuracy"] == [1.0] * 3
    assert said["images"] == 64
    assert len(said["training_s"]) == 3
    assert said["start_s"] > 0


def test_another_network_is_noticed() -> None:
    done = Clock()
    done.training_s = [1.0]
    with pytest.raises(AssertionError):
        report(task(1), parameters=11, clock=done, test_accuracy=[0.5])  # 4·2 + 2 are its parameters
    with pytest.raises(AssertionError):
        report(task(1), parameters=10, clock=done, test_accuracy=[])


def test_the_benchmark_takes_the_last_accuracy_and_the_median_rate(monkeypatch, tmp_path: Path) -> None:
    said = {"images": 120, "start_s": 9.0, "training_s": [2.0, 1.0, 4.0], "test_accuracy": [0.5, 0.9, 0.7]}
    monkeypatch.setattr(peers, "data_folder", lambda data: tmp_path)
    monkeypatch.setattr(peers, "run_program", lambda *told: type("Done", (), {"said": said}))
    assert peers.run_peer("torch", "fashion-cnn", {}, 0) == peers.Outcome(120, 60.0, 0.7)  # 120 / 2 s
