"""What a peer is given: a document's network and settings, and the pictures as floats in memory."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from benchmarks.documents.clock import Clock
from benchmarks.documents.program import Pictures, Program, few


@dataclass(frozen=True)
class Task:
    """What to train.

    Args:
        name: The document's network.
        program: Its settings.
        epochs: How long.
        train, test: float32 on 0 … 1, N C H W, with class numbers, N.
    """

    name: str
    program: Program
    epochs: int
    train: TensorDataset
    test: TensorDataset


def read_task(doc: str | None) -> Task:
    """Return the task given on the command line, its pictures decoded."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="fashion-cnn, mnist-cnn or cifar10-cnn")
    parser.add_argument("folder", type=Path, help="of its data")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--first", type=int, help="take so many pictures of each part only, evenly spread")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    program: Program = import_module(f"benchmarks.documents.{options.network.replace('-', '_')}").PROGRAM
    train, test = (in_memory(few(part, options.first)) for part in program.parts(options.folder))
    return Task(options.network, program, options.epochs, train, test)


def in_memory(pictures: Pictures) -> TensorDataset:
    """Return pictures decoded."""
    images, labels = zip(*(pictures[number] for number in range(len(pictures))), strict=True)  # type: ignore[arg-type]
    return TensorDataset(torch.stack(images), torch.tensor(labels))


def report(task: Task, parameters: int, clock: Clock, test_accuracy: Sequence[float]) -> None:
    """Write what came out as a line of JSON.

    Args:
        parameters: Number of the peer's parameters, by which it is the same network.
        clock: With the time of each epoch.
        test_accuracy: After each epoch.
    """
    assert parameters == sum(parameter.numel() for parameter in task.program.network().parameters())
    assert len(clock.training_s) == len(test_accuracy) == task.epochs
    said = {"images": len(task.train), "test_accuracy": list(test_accuracy)}
    print(json.dumps(said | {"start_s": clock.start_s, "training_s": clock.training_s}))
