"""Batch norms folded into the convolutions before them: the same function with fewer passes over the maps.

In evaluation mode a batch norm is a scale and a shift per channel, which the convolution's filters and bias can hold.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from striate.models.contract import Classifier, place

TOLERANCE = 1e-3  # of the logits' size, by which the order of the roundings may move them


@torch.no_grad()
def folded(model: Classifier, images: Tensor) -> Classifier:
    """Return a copy in evaluation mode whose batch norms are part of the convolutions that they directly follow.

    Where that would change the logits, since a convolution's output is used elsewhere as well, the copy is plain.

    Args:
        model: The network; left as it is.
        images: A few inputs, N C H W, on its device.
    """
    plain = copy.deepcopy(model).eval()
    pairs = _pairs(plain, images)
    if not pairs:
        return plain
    lighter = copy.deepcopy(plain)
    for convolution, norm in pairs:
        _fold(lighter, convolution, norm)
    lighter = place(lighter, images.device).eval()
    before, after = plain(images), lighter(images)
    same = torch.allclose(before, after, rtol=TOLERANCE, atol=TOLERANCE * float(before.abs().max()))
    return lighter if same else plain


def _pairs(model: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Return the names of convolutions and the batch norms that take exactly their outputs, each used once."""
    outputs: list[tuple[Tensor, str]] = []  # held, so that no other tensor gets the same place
    calls: list[str] = []
    pairs: list[tuple[str, str]] = []

    def after(name: str) -> object:
        def note(module: nn.Module, arguments: object, output: Tensor) -> None:
            calls.append(name)
            outputs.append((output, name))

        return note

    def before(name: str) -> object:
        def note(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            calls.append(name)
            pairs.extend((maker, name) for output, maker in outputs[-1:] if output is arguments[0])

        return note

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after(name)))  # type: ignore[arg-type]
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before(name)))  # type: ignore[arg-type]
    try:
        model(images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in pairs if all(calls.count(name) == 1 for name in pair)]


def _fold(model: nn.Module, convolution: str, norm: str) -> None:
    """Make one batch norm part of one convolution; what timm's batch norms do after it stays in their place."""
    before, after = model.get_submodule(convolution), model.get_submodule(norm)
    assert isinstance(before, nn.Conv2d)
    assert isinstance(after, nn.BatchNorm2d)
    assert after.running_mean is not None
    assert after.running_var is not None
    before.weight, before.bias = fuse_conv_bn_weights(
        before.weight, before.bias, after.running_mean, after.running_var, after.eps, after.weight, after.bias
    )
    rest = [getattr(after, part) for part in ("drop", "act") if hasattr(after, part)]
    parent, _, name = norm.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Sequential(*rest))
