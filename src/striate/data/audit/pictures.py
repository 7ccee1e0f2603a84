"""Pictures: those of all parts of a data set, numbered through, part after part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from striate.data.dataset import Splits, label_texts

_CHUNK = 2**22  # values taken at a time


class Pictures:
    """The pictures of all parts under one numbering; nothing is copied.

    Args:
        splits: The data.
    """

    def __init__(self, splits: Splits) -> None:
        self.parts = splits.parts()
        self.shape = splits.train.input_shape  # C H W
        sizes = torch.tensor([len(part) for part in self.parts.values()])
        self.part = torch.repeat_interleave(torch.arange(len(sizes)), sizes)  # int64 N, in the order of `parts`

    def __len__(self) -> int:
        return len(self.part)

    @property
    def values(self) -> int:
        """How many values all pictures have together."""
        channels, height, width = self.shape
        return len(self) * channels * height * width

    @cached_property
    def names(self) -> list[str]:
        """Each picture's name."""
        return list(chain.from_iterable(part.names for part in self.parts.values()))

    @cached_property
    def labels(self) -> list[str]:
        """Each picture's class, or all its classes, in words."""
        return list(chain.from_iterable(label_texts(part.labels, part.classes) for part in self.parts.values()))

    @cached_property
    def part_names(self) -> list[str]:
        """The parts in their order."""
        return list(self.parts)

    def batches(self) -> Iterator[Tensor]:
        """Yield the pictures in their order, uint8 n C H W, a few megabytes at a time."""
        channels, height, width = self.shape
        for part in self.parts.values():
            yield from part.images.split(max(_CHUNK // (channels * height * width), 1))

    def images(self, numbers: Tensor) -> Tensor:
        """Return a copy of the pictures with these numbers (int64), uint8 n C H W."""
        found = torch.empty(len(numbers), *self.shape, dtype=torch.uint8)
        start = 0
        for part in self.parts.values():
            inside = (numbers >= start) & (numbers < start + len(part))
            found[inside] = part.images[numbers[inside] - start]
            start += len(part)
        return found
