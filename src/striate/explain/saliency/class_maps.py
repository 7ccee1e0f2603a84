"""The average map of a class: where its pictures are decided, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.explain.saliency.maps import Maps


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Where the pictures of one class are decided.

    Args:
        label: The class.
        values: float32, H W; ≥ 0 and of sum 1: each pixel's share of what speaks for the class. None where every
            picture's map is blank.
        picture: float32, C H W on 0 … 255; the mean of the pictures.
        count: Pictures whose maps are in it.
    """

    label: int
    values: Tensor | None
    picture: Tensor
    count: int

    def share(self, mask: Tensor) -> float | None:
        """Return the share of what speaks for the class that lies within a mask (bool, H W)."""
        return None if self.values is None else float(self.values[mask].sum())


def class_maps(images: Tensor, maps: Maps, labels: Sequence[int]) -> list[ClassMap]:
    """Return the average map of each class, of pictures explained for it.

    Every picture counts the same: its map is brought to a sum of 1 before, without what speaks against the class.

    Args:
        images: The pictures, N C H W on 0 … 255.
        maps: Theirs; `targets` says for which class.
        labels: The classes wanted.
    """
    speaks = torch.tensor([reason is None for reason in maps.blank])
    positive = maps.values.cpu().clamp_min(0).nan_to_num(0, 0, 0)
    shares = positive / positive.sum((1, 2), keepdim=True).clamp_min(torch.finfo(positive.dtype).tiny)
    targets = maps.targets.cpu()
    found = []
    for label in labels:
        own = targets == label
        used = own & speaks
        mean = shares[used].mean(0) if bool(used.any()) else None
        found.append(ClassMap(label, mean, images[own].float().mean(0).cpu(), int(used.sum())))
    return found
