"""The loop that every document writes out: epochs of mini-batches from a DataLoader, the test part after each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, Subset

from benchmarks.documents.clock import Clock

Pictures = Dataset[Any]  # of (picture, class number)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def most_probable(outputs: Tensor) -> Tensor:
    """Return the class of the greatest output, int64 N, of outputs N K."""
    return outputs.argmax(1)


@dataclass(frozen=True)
class Program:
    """One document's system.

    Args:
        network: Returns it untrained.
        parts: From the folder of the data to the training and the test part.
        rule: The optimizer's class.
        rates: Its settings.
        batch_size, epochs: As in the document.
        loss: The mean loss of outputs and class numbers.
        decide: From outputs to class numbers.
    """

    network: Callable[[], nn.Module]
    parts: Callable[[Path], tuple[Pictures, Pictures]]
    rule: Callable[..., Optimizer]
    rates: dict[str, float]
    batch_size: int
    epochs: int
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    decide: Callable[[Tensor], Tensor] = most_probable

    def optimizer(self, network: nn.Module) -> Optimizer:
        """Return what trains the network."""
        return self.rule(network.parameters(), **self.rates)

    def main(self, doc: str | None) -> None:
        """Train until the test part's accuracy reaches the target, or to the last epoch; write the course as JSON."""
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("folder", type=Path, help="of the data")
        parser.add_argument("--target", type=float, default=1.0, help="test accuracy at which to stop")
        parser.add_argument("--epochs", type=int, default=self.epochs)
        parser.add_argument("--first", type=int, help="take so many pictures of each part only, evenly spread")
        parser.add_argument("--seed", type=int, default=0)
        options = parser.parse_args()
        torch.manual_seed(options.seed)
        network = self.network().to(DEVICE)
        optimizer = self.optimizer(network)
        train, test = (few(part, options.first) for part in self.parts(options.folder))
        train_loader = DataLoader(train, self.batch_size, shuffle=True)
        test_loader = DataLoader(test, self.batch_size)
        accuracies: list[float] = []
        seconds: list[float] = []
        clock, start = Clock(), time.perf_counter()
        while len(accuracies) < options.epochs and max(accuracies, default=0.0) < options.target:
            clock.start()
            train_epoch(network, train_loader, optimizer, self.loss)
            clock.stop()
            accuracies.append(measure(network, test_loader, self.decide))
            seconds.append(round(time.perf_counter() - start, 2))
            print(f"epoch {len(accuracies)}  test {accuracies[-1]:.4f}  {seconds[-1]} s", file=sys.stderr, flush=True)
        reached = accuracies[-1] >= options.target
        said = {"reached": reached, "test_accuracy": accuracies, "seconds": seconds}  # measuring included
        print(json.dumps(said | {"start_s": clock.start_s, "training_s": clock.training_s}))


def few(pictures: Pictures, count: int | None) -> Pictures:
    """Return `count` pictures at equal distances, or all."""
    if count is None:
        return pictures
    whole = len(pictures)  # type: ignore[arg-type]  # every part has a length
    count = min(count, whole)
    return Subset(pictures, [number * whole // count for number in range(count)])


def train_epoch(
    network: nn.Module, loader: DataLoader[Any], optimizer: Optimizer, loss: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Train on every picture once; return the last batch's loss, by which the device has finished."""
    network.train()
    for images, labels in loader:
        optimizer.zero_grad()
        value = loss(network(images.to(DEVICE)), labels.to(DEVICE))
        value.backward()
        optimizer.step()
    return value.item()


@torch.no_grad()
def measure(network: nn.Module, loader: DataLoader[Any], decide: Callable[[Tensor], Tensor]) -> float:
    """Return the share of pictures whose class is found."""
    network.eval()
    right = [decide(network(images.to(DEVICE))).cpu() == labels for images, labels in loader]
    return float(torch.cat(right).float().mean())
