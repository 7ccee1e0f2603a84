"""Document 003's transfer learning: ResNet-18 with its first layer for one channel, Adam, 10 epochs of batches of 64.

    python -m benchmarks.documents.fashion_resnet18 FOLDER --target 0.9101

FOLDER holds Fashion-MNIST as torchvision keeps it. The document begins with ImageNet's weights; here the network
begins untrained, as in the recipe, since those cannot be had without a network. Corrected: measured in evaluation
mode.
"""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import resnet18

from benchmarks.documents.fashion_cnn import parts
from benchmarks.documents.program import Program


def network() -> nn.Module:
    model: nn.Module = resnet18(weights=None)
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    model.fc = nn.Linear(512, 10)
    return model


PROGRAM = Program(network, parts, torch.optim.Adam, {"lr": 1e-3}, batch_size=64, epochs=10)

if __name__ == "__main__":
    PROGRAM.main(__doc__)
