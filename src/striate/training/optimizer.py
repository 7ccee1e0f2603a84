"""The update rule and the course of its learning rate.

The rules are torch's own, through the functions behind torch.optim; the classes around those would
import torch's compiler, which takes longer than training a small network does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from striate.core.settings import OptimizerSettings
from striate.training.finetune import layer_rates
from striate.training.muon import muon

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass(frozen=True)
class _Group:
    """Parameters that move alike: by one rule, at a multiple of the rate, with one weight decay."""

    rule: str
    multiple: float
    decay: float
    parameters: list[nn.Parameter]


class Optimizer:
    """SGD with (Nesterov) momentum, Adam, AdamW or Muon over a network's trainable parameters.

    Weight decay is not applied to norms and biases (parameters of fewer than two axes): shrinking them
    does not regularise the function but shifts it. Biases can have a rate of their own. Muon moves the filters of
    convolutions and dense layers; the last layer, norms and biases are left to SGD at `sgd_lr` times the rate.

    Args:
        model: The network; its parameters are updated in place.
        settings: Complete.
    """

    def __init__(self, model: nn.Module, settings: OptimizerSettings) -> None:
        self.settings = settings
        parameters = [p for p in model.parameters() if p.requires_grad]
        # one kernel for all parameters, which on CUDA can also skip the update without asking the processor
        self.fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
        self.groups = _groups(model, settings)
        slots = ("momentum",) if settings.optimizer in ("sgd", "muon") else ("mean", "square")
        self.buffers = {
            slot: {p: torch.zeros_like(p, memory_format=torch.preserve_format) for p in parameters} for slot in slots
        }
        self.steps = {p: torch.zeros((), device=p.device) for p in parameters}
        self.parameters = parameters

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float, skip: Tensor | None = None) -> None:
        """Update the parameters from their gradients.

        Args:
            rate: The learning rate.
            skip: On CUDA, a tensor of one float on the device; where it is 1 nothing is changed.
        """
        for group in self.groups:
            parameters = [p for p in group.parameters if p.grad is not None]
            if parameters:
                self._update(group, parameters, rate * group.multiple, skip)

    def _update(self, group: _Group, parameters: list[nn.Parameter], rate: float, skip: Tensor | None) -> None:
        tensors: list[Tensor] = list(parameters)
        gradients = [p.grad for p in parameters if p.grad is not None]
        s = self.settings
        if group.rule == "muon":
            muon(
                tensors, gradients, [self.buffers["momentum"][p] for p in parameters], lr=rate,
                momentum=s.momentum, nesterov=s.nesterov, weight_decay=group.decay, renormalize=s.renormalize,
                skip=skip,
            )  # fmt: skip
            return
        if group.rule == "sgd":
            # momentum starts from zero: the first step equals torch's, whose buffer starts as the gradient
            buffers: list[Tensor | None] = [self.buffers["momentum"][p] for p in parameters]
            sgd(
                tensors, gradients, buffers, fused=self.fused, found_inf=skip, weight_decay=group.decay, lr=rate,
                momentum=s.momentum, dampening=0.0, nesterov=s.nesterov and s.momentum > 0, maximize=False,
            )  # fmt: skip
            return
        rule = adam if group.rule == "adam" else adamw
        rule(
            tensors, gradients, [self.buffers["mean"][p] for p in parameters],
            [self.buffers["square"][p] for p in parameters], [], [self.steps[p] for p in parameters],
            fused=self.fused, found_inf=skip, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=rate,
            weight_decay=group.decay, eps=EPSILON, maximize=False,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name: 'SLOT.NUMBER' in the order of the parameters, and 'steps.NUMBER'."""
        named = {**self.buffers, "steps": self.steps}
        return {f"{slot}.{i}": of[p] for slot, of in named.items() for i, p in enumerate(self.parameters)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` returned."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])


def _groups(model: nn.Module, settings: OptimizerSettings) -> list[_Group]:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for p in named.values() if p.ndim >= 2]
    biases = [p for name, p in named.items() if p.ndim < 2 and name.rpartition(".")[2] == "bias"]
    others = [p for name, p in named.items() if p.ndim < 2 and name.rpartition(".")[2] != "bias"]
    assert settings.optimizer is not None
    decay, multiple = settings.weight_decay or 0.0, 1.0
    rule: str = settings.optimizer
    groups = []
    if rule == "muon":
        filters = {id(p) for p in hidden_filters(model)}
        groups = [_Group("muon", 1.0, decay, [p for p in matrices if id(p) in filters])]
        matrices = [p for p in matrices if id(p) not in filters]
        rule, multiple = "sgd", settings.sgd_lr
    groups += [
        _Group(rule, multiple, decay, matrices),
        _Group(rule, multiple, 0.0, others),
        _Group(rule, multiple * settings.bias_lr, 0.0, biases),
    ]
    rates = layer_rates(model, settings)
    return [part for group in groups for part in _by_rate(group, rates)] if rates else groups


def _by_rate(group: _Group, rates: Mapping[int, float]) -> list[_Group]:
    """Return the parameters of a group that move at one rate each, fastest first."""
    different = sorted({rates[id(p)] for p in group.parameters}, reverse=True)
    return [
        replace(group, multiple=group.multiple * rate, parameters=[p for p in group.parameters if rates[id(p)] == rate])
        for rate in different
    ]


def hidden_filters(model: nn.Module) -> list[nn.Parameter]:
    """Return the trainable weights of all convolutions and dense layers but the last, which makes the logits."""
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    weights = [layer.get_parameter("weight") for layer in layers[:-1]]
    return [weight for weight in weights if weight.requires_grad]


def learning_rate(settings: OptimizerSettings, progress: float) -> float:
    """Return the rate at a progress of 0 … 1: a pure function, so that a resumed run needs no scheduler.

    A step takes the rate of its middle, so that neither the first nor the last is of rate zero. one-cycle rises
    linearly to the peak in the first `warmup` of the run and falls linearly to zero (after Smith 2018, without
    the cycle of momentum); cosine (Loshchilov and Hutter 2016) and linear fall from the peak to zero.
    """
    assert settings.lr is not None
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "cosine":
        return settings.lr * 0.5 * (1 + math.cos(math.pi * progress))
    if settings.schedule == "linear" or settings.warmup == 0:
        return settings.lr * (1 - progress)
    return settings.lr * min(progress / settings.warmup, (1 - progress) / (1 - settings.warmup))
