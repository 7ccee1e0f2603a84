"""Document 000's digits: two 5×5 convolutions and 1,024 hidden units, Adam, 20 epochs of batches of 64.

    python -m benchmarks.documents.mnist_cnn FOLDER --target 0.9914

FOLDER holds MNIST as torchvision keeps it. The first 10,000 training pictures are the document's validation part.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Subset
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from benchmarks.documents.program import Pictures, Program


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 10),
    )


def parts(folder: Path) -> tuple[Pictures, Pictures]:
    train, test = (MNIST(folder, train=train, transform=ToTensor()) for train in (True, False))
    return Subset(train, range(10_000, 60_000)), test


PROGRAM = Program(network, parts, torch.optim.Adam, {"lr": 1e-3}, batch_size=64, epochs=20)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
