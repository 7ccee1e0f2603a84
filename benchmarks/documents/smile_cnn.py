"""Document 000's smiles: four 3×3 convolutions, averaged, one logistic output, Adam, 30 epochs of batches of 32.

    python -m benchmarks.documents.smile_cnn FOLDER --target 0.90

FOLDER holds faces of 64×64 pixels as {train,test}/{not_smile,smile}/picture, in CelebA's place, whose faces the
document crops at random and resizes to that size; mirrored at random, as there. Grey ones are taken as colour ones.
Corrected: labelled by smiles.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, RandomHorizontalFlip, ToTensor

from benchmarks.documents.program import Pictures, Program


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(8),
        nn.Flatten(),
        nn.Linear(256, 1),
        nn.Sigmoid(),
    )


def parts(folder: Path) -> tuple[Pictures, Pictures]:
    mirrored = Compose([RandomHorizontalFlip(), ToTensor()])
    return ImageFolder(folder / "train", mirrored), ImageFolder(folder / "test", ToTensor())


def loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy(outputs[:, 0], labels.float())


def decide(outputs: Tensor) -> Tensor:
    return (outputs[:, 0] >= 0.5).long()


PROGRAM = Program(network, parts, torch.optim.Adam, {"lr": 1e-3}, 32, 30, loss, decide)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
