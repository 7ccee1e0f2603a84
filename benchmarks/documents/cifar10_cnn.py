"""Document 002's pictures: two 3×3 convolutions and 512 hidden units, SGD, 20 epochs of batches of 32.

    python -m benchmarks.documents.cifar10_cnn FOLDER --target 0.70

FOLDER holds CIFAR-10 as {train,test}/CLASS/picture. Corrected: measured on the test part, not on the training part.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from benchmarks.documents.program import Pictures, Program


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8192, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, 10),
    )


def parts(folder: Path) -> tuple[Pictures, Pictures]:
    return ImageFolder(folder / "train", ToTensor()), ImageFolder(folder / "test", ToTensor())


PROGRAM = Program(network, parts, torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9}, batch_size=32, epochs=20)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
