"""L1 and L2 on chosen weights, against NumPy, torch.optim and the one-step formula."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import SettingsError
from striate.core.settings import OptimizerSettings
from striate.models import Architecture, build
from striate.training.penalty import Penalty


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4))


def of(network: nn.Module, **settings: object) -> Penalty:
    return Penalty(network, OptimizerSettings.parse(settings))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("*", ["0.weight", "0.bias", "2.weight", "2.bias"]),
        ("2.*", ["2.weight", "2.bias"]),
        ("*.weight", ["0.weight", "2.weight"]),
        ("0.bias, 2.weight", ["0.bias", "2.weight"]),
    ],
)
def test_the_penalty_is_the_sum_over_the_named_weights(network: nn.Sequential, patterns: str, names: list[str]) -> None:
    weights = np.concatenate([network.state_dict()[name].numpy().ravel() for name in names]).astype(np.float64)
    wanted = 0.3 * np.abs(weights).sum() + 0.02 * np.square(weights).sum()
    assert of(network, l1=0.3, l2=0.02, penalty_on=patterns)().item() == pytest.approx(wanted, rel=1e-6)


def test_no_penalty_costs_nothing(network: nn.Sequential) -> None:
    assert not of(network)
    assert of(network, l1=0.1)


def test_a_pattern_without_a_match_names_the_parameters(network: nn.Sequential) -> None:
    with pytest.raises(SettingsError, match="'conv1") as caught:
        of(network, l2=0.1, penalty_on="0.*,conv1.*")
    assert "2.weight" in str(caught.value)
    assert not of(network, penalty_on="conv1.*"), "without l1 and l2 nothing is looked for"


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_l2_is_weight_decay_of_twice_its_size(network: nn.Sequential, optimizer: type) -> None:
    """torch's SGD and Adam add decay · w to the gradient, which is the gradient of decay / 2 · w²."""
    decayed, penalised = copy.deepcopy(network), copy.deepcopy(network)
    images = torch.randn(5, 2, 4, 4)
    for model, decay, l2 in ((decayed, 0.02, 0.0), (penalised, 0.0, 0.01)):
        rule = optimizer(model.parameters(), lr=0.1, weight_decay=decay)
        penalty = of(model, l2=l2)
        for _ in range(3):
            rule.zero_grad()
            loss = model(images).square().mean()
            (loss + penalty() if penalty else loss).backward()
            rule.step()
    for one, other in zip(decayed.parameters(), penalised.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_l2_is_not_decoupled_decay_under_adam(network: nn.Sequential) -> None:
    """The documents' two ways of shrinking weights are one under SGD and two under Adam (Loshchilov and Hutter)."""
    decayed, penalised = copy.deepcopy(network), copy.deepcopy(network)
    images = torch.randn(5, 2, 4, 4)
    for model, decay, l2 in ((decayed, 0.02, 0.0), (penalised, 0.0, 0.01)):
        rule = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=decay)
        penalty = of(model, l2=l2)
        loss = model(images).square().mean()
        (loss + penalty() if penalty else loss).backward()
        rule.step()
    assert any(
        not torch.allclose(one, other, atol=1e-3)
        for one, other in zip(decayed.parameters(), penalised.parameters(), strict=True)
    )


def test_training_with_l1_leaves_smaller_weights(make_job) -> None:
    def size(**settings: float) -> float:
        job = make_job(out=f"runs{len(settings)}", optimizer="sgd", **settings)  # muon keeps the weights' size
        list(job.epochs())
        return sum(float(p.detach().abs().sum()) for p in job.model.parameters() if p.ndim > 1)

    assert size(l1=1e-3) < 0.9 * size()


def test_names_do_not_depend_on_how_two_classes_are_told_apart(make_spec) -> None:
    architecture = Architecture(name="smile-cnn", one_logit=True)
    assert of(build(architecture, make_spec(side=16, classes=2)), l1=0.1, penalty_on="classifier.*")


def test_a_wrong_pattern_is_refused_before_anything_is_written(make_job, tmp_path) -> None:
    with pytest.raises(SettingsError, match="no parameter"):
        make_job(l2=0.1, penalty_on="nothing.*")
    assert not (tmp_path / "runs").exists()
