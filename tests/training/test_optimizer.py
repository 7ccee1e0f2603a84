"""The update rules against torch.optim, the schedules against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from striate.core.settings import OptimizerSettings
from striate.training.optimizer import Optimizer, learning_rate


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double()


def torch_optimizer(model: nn.Module, s: OptimizerSettings) -> torch.optim.Optimizer:
    named = dict(model.named_parameters())
    groups = [
        {"params": [p for p in named.values() if p.ndim >= 2], "weight_decay": s.weight_decay, "multiple": 1.0},
        {"params": [named["1.weight"]], "weight_decay": 0.0, "multiple": 1.0},
        {"params": [p for name, p in named.items() if "bias" in name], "weight_decay": 0.0, "multiple": s.bias_lr},
    ]
    if s.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=s.lr, momentum=s.momentum, nesterov=s.nesterov and s.momentum > 0)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s.optimizer](groups, lr=s.lr)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"optimizer": "sgd", "bias_lr": 64.0},
        {"optimizer": "adamw", "bias_lr": 0.5},
    ],
)
def test_ten_steps_equal_torchs(settings) -> None:
    s = OptimizerSettings.parse({"lr": 0.05, "weight_decay": 0.01, **settings})
    ours, theirs = network(), network()
    optimizer, reference = Optimizer(ours, s), torch_optimizer(theirs, s)
    for step in range(10):
        images = torch.randn(8, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        for model in (ours, theirs):
            model.zero_grad()
            model(images).square().mean().backward()
        optimizer.step(0.05 * (1 + step))
        for group in reference.param_groups:
            group["lr"] = 0.05 * (1 + step) * group["multiple"]
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-7)  # Adam divides rounding of zero by ε


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw", "muon"])
def test_saved_and_loaded_in_the_middle_it_goes_on_to_the_same_bits(rule: str) -> None:
    s = OptimizerSettings.parse({"lr": 0.05, "sgd_lr": 0.4, "weight_decay": 0.01, "optimizer": rule})

    def steps(model: nn.Module, optimizer: Optimizer, numbers: range) -> None:
        for step in numbers:
            model.zero_grad()
            model(
                torch.randn(8, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
            ).square().mean().backward()
            optimizer.step(0.05)

    straight = network()
    steps(straight, Optimizer(straight, s), range(6))
    first = network()
    optimizer = Optimizer(first, s)
    steps(first, optimizer, range(3))
    second = network()
    second.load_state_dict(first.state_dict())
    resumed = Optimizer(second, s)
    resumed.load({name: tensor.clone() for name, tensor in optimizer.tensors().items()})
    steps(second, resumed, range(3, 6))
    for a, b in zip(straight.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_norms_and_biases_do_not_decay() -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    s = OptimizerSettings.parse({"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.5, "momentum": 0.0})
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    Optimizer(model, s).step(0.1)
    for p, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), old * (1 - 0.1 * 0.5) if p.ndim >= 2 else old)


@given(st.sampled_from(["one-cycle", "cosine", "linear", "constant"]), st.integers(1, 500), st.floats(0, 0.9))
def test_rates_are_positive_and_never_above_the_peak(schedule: str, steps: int, warmup: float) -> None:
    s = OptimizerSettings.parse({"lr": 0.3, "schedule": schedule, "warmup": warmup})
    rates = [learning_rate(s, (step + 0.5) / steps) for step in range(steps)]
    assert all(0 < rate <= 0.3 * (1 + 1e-12) for rate in rates)


def test_the_schedules_follow_their_formulas() -> None:
    steps = 1000
    x = (np.arange(steps) + 0.5) / steps
    wanted = {
        "constant": np.full(steps, 0.3),
        "linear": 0.3 * (1 - x),
        "cosine": 0.15 * (1 + np.cos(math.pi * x)),
        "one-cycle": np.interp(x, [0, 0.2, 1], [0, 0.3, 0]),
    }
    for schedule, rates in wanted.items():
        s = OptimizerSettings.parse({"lr": 0.3, "schedule": schedule, "warmup": 0.2})
        np.testing.assert_allclose(
            [learning_rate(s, progress) for progress in x], rates, rtol=1e-9, atol=1e-7
        )  # Adam divides rounding of zero by ε
