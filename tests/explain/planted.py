"""Networks whose filters are known, and what must not change when a network is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from striate.models import Classifier

CROSS = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]])
BAR = torch.tensor([[-1.0, 2, -1], [-1, 2, -1], [-1, 2, -1]])


class Planted(Classifier):
    """Layers in sequence, of which each is a stage; the maxima of the last maps are the logits."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.unused = nn.Conv2d(1, 1, 1)

    def features(self, images: Tensor) -> Tensor:
        maps: Tensor = self.body(images)
        return maps

    def head(self, features: Tensor) -> Tensor:
        return features.amax((2, 3))

    def stages(self) -> dict[str, nn.Module]:
        return {f"stage{number}": layer for number, layer in enumerate(self.body, 1)}

    def replace_head(self, classes: int) -> None:
        raise NotImplementedError


def with_filters(filters: Sequence[Tensor], relu: bool = True) -> Planted:
    """Return a network of one 3×3 convolution without bias on grey pictures."""
    convolution = nn.Conv2d(1, len(filters), 3, bias=False)
    convolution.weight.data = torch.stack(list(filters))[:, None]
    return Planted([convolution, *([nn.ReLU(inplace=True)] if relu else [])]).eval()


def fingerprint(model: nn.Module) -> str:
    """Return a hash of all that looking at a network must leave as it is."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    for name, module in model.named_modules():
        digest.update(f"{name} {module.training} {len(module._forward_hooks)}".encode())
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {parameter.requires_grad} {parameter.grad is None}".encode())
    return digest.hexdigest()
