"""What a style transfer takes, counted before it begins; where it does not fit, the pictures become smaller."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

from striate.core.memory import free_memory, require_memory
from striate.runs.estimate import size_text
from striate.style.network import StyleNetwork
from striate.style.settings import LEAST_SIDE
from striate.training.lbfgs import PAIRS

Size = tuple[int, int]
LEFT = 0.9  # share of the free memory that may be taken
PICTURES = 16 + 2 * PAIRS  # copies of the picture that transform, losses and optimizer hold, in fp32


def needed_memory(network: StyleNetwork, content: Size, style: Size) -> int:
    """Return the bytes that the search for the picture takes, beside the network.

    What the backward pass needs is counted by sending shapes through a copy of the network that has no values.

    Args:
        content, style: (height, width) of both pictures.
    """
    ghost = network.on_meta()
    weights = {tensor.untyped_storage()._cdata for tensor in [*ghost.model.parameters(), *ghost.model.buffers()]}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return tensor

    picture = torch.zeros(1, network.spec.channels, *content, device="meta", requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = list(ghost.maps(picture).values())
    for tensor in maps:
        keep(tensor.detach())
    sizes = [storage.nbytes() for storage in kept.values()]
    # going back, the gradients of a layer's output and input; what is kept of the style picture is small beside that
    passing = 3 * max(sizes) * max(1.0, style[0] * style[1] / (content[0] * content[1]))
    return int(sum(sizes) + passing + PICTURES * 4 * picture.numel())


def fitting_side(
    network: StyleNetwork, side: int, sizes: Callable[[int], tuple[Size, Size]]
) -> tuple[int, int, str | None]:
    """Return the longer side that fits into the free memory, the bytes it takes, and a note where it was lowered.

    Args:
        side: The one that is wanted.
        sizes: From a longer side to (height, width) of both pictures.

    Raises:
        ResourceError: Not even the smallest fits.
    """
    free = torch.cuda.mem_get_info(network.device)[0] if network.device.type == "cuda" else free_memory()
    wanted = needed = needed_memory(network, *sizes(side))
    if free is None or needed <= LEFT * free:
        return side, needed, None
    lower = side
    while needed > LEFT * free and lower > LEAST_SIDE:
        lower = max(LEAST_SIDE, min(lower - 1, int(lower * sqrt(LEFT * free / needed))))
        needed = needed_memory(network, *sizes(lower))
    require_memory(
        needed,
        f"pictures of {lower} pixels",
        where=network.name,
        fix="end other programs, or use a smaller --network",
        free=int(LEFT * free),
    )
    took = f"{size_text(wanted)} of memory are needed for a size of {side}, {size_text(free)} are free"
    return lower, needed, f"{took}: the size is {lower}"
