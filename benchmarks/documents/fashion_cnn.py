"""Document 003's clothes: three valid 3×3 convolutions and 64 hidden units, Adam, 30 epochs of batches of 64.

    python -m benchmarks.documents.fashion_cnn FOLDER --target 0.9025

FOLDER holds Fashion-MNIST as torchvision keeps it. Corrected: no softmax before the cross-entropy, and measured in
evaluation mode.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.datasets import FashionMNIST
from torchvision.transforms import ToTensor

from benchmarks.documents.program import Pictures, Program


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1152, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def parts(folder: Path) -> tuple[Pictures, Pictures]:
    train, test = (FashionMNIST(folder, train=train, transform=ToTensor()) for train in (True, False))
    return train, test


PROGRAM = Program(network, parts, torch.optim.Adam, {"lr": 1e-3}, batch_size=64, epochs=30)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
