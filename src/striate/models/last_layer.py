"""The last linear layer of a network: what it sees are the features by which pictures resemble each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import get_ident

import torch
from torch import Tensor, nn

from striate.models.contract import Classifier

BANK = "calibration.bank"  # in a model file, the one tensor that is no weight: what the layer sees of training pictures


def last_linear(model: Classifier, images: Tensor) -> str | None:
    """Return the name of the linear layer that makes the logits from one vector per picture; None where none does.

    Args:
        model: In evaluation mode; pictures are sent through it.
        images: One network input or more, N C H W.
    """
    calls: list[tuple[str, torch.Size, torch.Size]] = []

    def record(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((name, inputs[0].shape, output.shape))

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_hook(partial(record, name)) for name, module in layers]
    try:
        with torch.inference_mode():
            count, classes = model(images).shape
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        return None
    name, seen, made = calls[-1]
    outputs = (classes, 1) if classes == 2 else (classes,)  # two classes may be told by one logistic output
    return name if len(seen) == 2 and made[0] == count and made[1] in outputs else None


@contextmanager
def inputs_of(model: Classifier, layer: str) -> Iterator[list[Tensor]]:
    """Give a list that fills with what a layer sees, each time this thread calls the network within."""
    seen: list[Tensor] = []
    thread = get_ident()

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if get_ident() == thread:
            seen.append(inputs[0])

    hook = model.get_submodule(layer).register_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()
