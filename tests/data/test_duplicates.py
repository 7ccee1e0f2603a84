"""Equal pictures have equal hashes, and others have not."""

from __future__ import annotations

import torch

from striate.data.duplicates import picture_hashes


def test_hashes_are_equal_where_pictures_are() -> None:
    images = torch.randint(0, 256, (500, 3, 5, 7), dtype=torch.uint8)
    images[100:200] = images[300:400]
    equal = (images.flatten(1)[:, None] == images.flatten(1)[None]).all(2)
    hashes = picture_hashes(images)
    assert hashes.dtype == torch.int64
    assert torch.equal(hashes[:, None] == hashes[None], equal)
    assert torch.equal(picture_hashes(images.contiguous(memory_format=torch.channels_last)), hashes)
