"""How many pictures go through a network at once where no gradient is needed."""

from __future__ import annotations

from collections.abc import MutableMapping
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from striate.core.spec import ImageSpec
from striate.models.contract import evaluating

MOST = 500
MOST_PIXELS = 2**22  # of a batch on an accelerator
# Bytes of a layer's output. glibc gives larger blocks back to the system at once, so that each layer of each batch has
# its pages mapped and cleared anew: of EfficientNet-Lite0 at 224 pixels on one core, a picture takes 19 ms in batches
# of 4 or 8, and 39 in one of 83. Where freed memory is kept (core/memory) 4, 8 and 83 take 15 to 19 ms.
KEPT_BLOCK = 2**25
_found: MutableMapping[nn.Module, dict[tuple[int, int, int], int]] = WeakKeyDictionary()


def comfortable_batch(model: nn.Module, spec: ImageSpec) -> int:
    """Return how many pictures to pass at once: up to 500, fewer of large ones.

    On a processor so many that no layer's output is a block that the C library does not keep, and one per thread at
    least; on an accelerator by the pixels.

    Args:
        model: On its device.
        spec: How pictures become its input.
    """
    _, height, width = spec.input_shape
    if next(model.parameters()).device.type != "cpu":
        return max(1, min(MOST, MOST_PIXELS // (height * width)))
    known = _found.setdefault(model, {})
    if spec.input_shape not in known:
        known[spec.input_shape] = largest_output(model, spec.input_shape)
    return max(1, min(MOST, max(KEPT_BLOCK // known[spec.input_shape], torch.get_num_threads())))


def largest_output(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the bytes in fp32 of the largest tensor that a module makes of one picture, or of the picture itself.

    Args:
        model: On its device; its mode is left as it is.
        input_shape: (C, H, W).
    """
    sizes: list[int] = []

    def note(module: nn.Module, arguments: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    picture = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    try:
        with torch.inference_mode(), evaluating(model):
            model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.float32.itemsize * max([picture.numel(), *sizes])
