"""The update rule and the course of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from striate.core.settings import OptimizerSettings


def make_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimizer over the network's trainable parameters.

    Weight decay is not applied to norms and biases (parameters of fewer than two axes): shrinking them
    does not regularise the function but shifts it.
    """
    assert settings.lr is not None
    assert settings.weight_decay is not None
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # one kernel for all parameters, which on CUDA can also skip the update without asking the processor
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=fused)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, fused=fused)


def learning_rate(settings: OptimizerSettings, step: int, steps: int) -> float:
    """Return the rate of step 0 ≤ step < steps: a pure function, so that a resumed run needs no scheduler.

    one-cycle rises linearly to the peak in the first `warmup` of the steps and falls linearly to zero
    (after Smith 2018, without the cycle of momentum); cosine (Loshchilov and Hutter 2016) and linear
    fall from the peak to zero.
    """
    assert settings.lr is not None
    done = (step + 0.5) / steps  # the middle of the step: neither a first nor a last step of rate zero
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "cosine":
        return settings.lr * 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "linear" or settings.warmup == 0:
        return settings.lr * (1 - done)
    return settings.lr * min(done / settings.warmup, (1 - done) / (1 - settings.warmup))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as named tensors: 'NUMBER.KEY' in the order of the parameters."""
    tensors = {}
    for number, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"{number}.{key}"] = torch.as_tensor(value)
    return tensors


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = list(_parameters(optimizer))
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        parameter = parameters[int(number)]
        # a step counter stays where the optimizer wants it; everything else lies as the weights do
        placed = value.to(parameter.device)
        if value.shape == parameter.shape and parameter.ndim == 4:
            placed = placed.contiguous(memory_format=torch.channels_last)
        optimizer.state[parameter][key] = placed


def _parameters(optimizer: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]
