"""Document 004's birds and aeroplanes: two 3×3 convolutions, tanh, SGD, 100 epochs of batches of 64.

    python -m benchmarks.documents.bird_plane FOLDER --target 0.8765

FOLDER holds CIFAR-10 as {train,test}/CLASS/picture; the two classes are taken out of it, relabelled, decoded once and
normalised by the training pictures' mean and deviation. Corrected: measured in evaluation mode, on every picture.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from benchmarks.documents.program import Pictures, Program

CLASSES = {"airplane": 0, "bird": 1}


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 8, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 32),
        nn.Tanh(),
        nn.Linear(32, 2),
    )


def two_classes(folder: Path) -> tuple[Tensor, Tensor]:
    """Return the pictures of both classes, float32 on 0 … 1, N 3 32 32, and their labels, N."""
    whole = ImageFolder(folder, ToTensor())
    relabel = {number: CLASSES[name] for number, name in enumerate(whole.classes) if name in CLASSES}
    chosen = [(whole[place][0], relabel[label]) for place, label in enumerate(whole.targets) if label in relabel]
    images, labels = zip(*chosen, strict=True)
    return torch.stack(images), torch.tensor(labels)


def parts(folder: Path) -> tuple[Pictures, Pictures]:
    (images, labels), (test_images, test_labels) = (two_classes(folder / part) for part in ("train", "test"))
    std, mean = torch.std_mean(images, (0, 2, 3), keepdim=True)
    return TensorDataset((images - mean) / std, labels), TensorDataset((test_images - mean) / std, test_labels)


PROGRAM = Program(network, parts, torch.optim.SGD, {"lr": 1e-2}, batch_size=64, epochs=100)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
