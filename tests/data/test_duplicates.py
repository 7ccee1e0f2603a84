"""Equal pictures are found by hash, in whatever part they lie."""

from __future__ import annotations

import torch

from striate.data.dataset import ImageDataset, Splits
from striate.data.duplicates import picture_hashes, shared_with_training


def part(images: torch.Tensor) -> ImageDataset:
    return ImageDataset(images, torch.zeros(len(images), dtype=torch.int64), ("a", "b"), [""] * len(images))


def test_hashes_are_equal_where_pictures_are() -> None:
    images = torch.randint(0, 256, (500, 3, 5, 7), dtype=torch.uint8)
    images[100:200] = images[300:400]
    equal = (images.flatten(1)[:, None] == images.flatten(1)[None]).all(2)
    hashes = picture_hashes(images)
    assert hashes.dtype == torch.int64
    assert torch.equal(hashes[:, None] == hashes[None], equal)
    assert torch.equal(picture_hashes(images.contiguous(memory_format=torch.channels_last)), hashes)


def test_held_out_pictures_that_are_training_pictures_are_counted() -> None:
    images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    test = torch.cat([images[50:], images[:3]])
    trained = picture_hashes(images[:40])
    (note,) = shared_with_training(Splits("x", part(images[:40]), part(images[40:50]), part(test)), trained)
    assert note.startswith("3 of 13 test pictures")
    assert not shared_with_training(Splits("x", part(images[:40]), part(images[40:])), trained)
