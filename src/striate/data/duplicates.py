"""Pictures that are equal pixel for pixel, found by hash."""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor

from striate.data.dataset import Splits


def picture_hashes(images: Tensor) -> Tensor:
    """Return a 64-bit hash of each picture, int64 N; of a million different pictures, two share one by chance 3e-8.

    Args:
        images: uint8, N C H W.
    """
    rows = images.contiguous().numpy()
    hashes = [int.from_bytes(blake2b(row, digest_size=8).digest(), "little", signed=True) for row in rows]
    return torch.tensor(hashes, dtype=torch.int64)


def shared_with_training(splits: Splits, trained: Tensor) -> list[str]:
    """Return a sentence for each held-out part that holds training pictures: its accuracy is partly memory.

    Args:
        splits: The data.
        trained: The hashes of the training part.
    """
    held_out = {name: part for name, part in splits.parts().items() if name != "train"}
    counts = {name: int(torch.isin(picture_hashes(part.images), trained).sum()) for name, part in held_out.items()}
    return [
        f"{count} of {len(held_out[name]):,} {name} pictures are training pictures, too, pixel for pixel"
        for name, count in counts.items()
        if count
    ]
