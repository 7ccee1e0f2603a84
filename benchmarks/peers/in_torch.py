"""A document's network in a plain PyTorch loop: python -m benchmarks.peers.in_torch NETWORK FOLDER."""

from __future__ import annotations

from torch.utils.data import DataLoader

from benchmarks.documents.clock import Clock
from benchmarks.documents.program import DEVICE, measure, train_epoch
from benchmarks.peers.task import read_task, report


def main() -> None:
    task = read_task(__doc__)
    network = task.program.network().to(DEVICE)
    optimizer = task.program.optimizer(network)
    train_loader = DataLoader(task.train, task.program.batch_size, shuffle=True)
    test_loader = DataLoader(task.test, task.program.batch_size)
    clock, accuracies = Clock(), []
    for _ in range(task.epochs):
        clock.start()
        train_epoch(network, train_loader, optimizer, task.program.loss)
        clock.stop()
        accuracies.append(measure(network, test_loader, task.program.decide))
    report(task, sum(parameter.numel() for parameter in network.parameters()), clock, accuracies)


if __name__ == "__main__":
    main()
