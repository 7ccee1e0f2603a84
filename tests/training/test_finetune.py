"""Which weights of a pretrained network move in fine-tuning, and how fast."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.core.settings import TrainSettings
from striate.models.pretrained import head_names
from striate.training.finetune import STAGE_RATE, freeze_stages, stages_behind, training_mode
from striate.training.optimizer import Optimizer

from ..contracts.networks import every_model, made, pictures_of, small


def tuning(**settings: object) -> TrainSettings:
    return TrainSettings.parse({"pretrained": "lite0", "optimizer": "sgd", "momentum": 0.0, "lr": 1.0, **settings})


@every_model
def test_weights_have_fewer_stages_behind_them_the_later_they_come(name):
    model = made(name)
    behind = stages_behind(model)
    stages = len(model.stages())
    assert set(behind) == {key for key, _ in model.named_parameters()}
    assert {behind[key] for key in head_names(model)} == {0}
    values = list(behind.values())
    assert values == sorted(values, reverse=True)
    assert values[0] >= stages - 1  # a first stage may have nothing to learn
    for number, stage in enumerate(model.stages().values()):
        own = {id(parameter) for parameter in stage.parameters()}
        inside = {behind[key] for key, parameter in model.named_parameters() if id(parameter) in own}
        assert inside <= {stages - number}


@pytest.mark.parametrize("name", ["efficientnet-lite0", "resnet18", "timm/test_vit2", "timm/convnext_atto"])
@pytest.mark.parametrize("last", [1, 2])
def test_unfreezing_stages_lets_the_last_ones_and_the_head_move(name, last):
    model = made(name)
    freeze_stages(model, tuning(unfreeze=last))
    behind = stages_behind(model)
    assert {key for key, p in model.named_parameters() if p.requires_grad} == {
        key for key, number in behind.items() if number <= last
    }


def test_frozen_all_but_the_last_layer_stands_still():
    model = made("efficientnet-lite0")
    freeze_stages(model, tuning(freeze=True))
    assert [key for key, p in model.named_parameters() if p.requires_grad] == head_names(model)


def test_what_a_network_keeps_fixed_itself_stays_fixed():
    from ..contracts.networks import built

    model = built("fast", (3, 32, 32), stem="whitened")
    freeze_stages(model, tuning())
    assert not model.get_parameter("stem.conv.weight").requires_grad


@pytest.mark.parametrize("name", ["efficientnet-lite0", "timm/test_vit2"])
def test_each_stage_moves_at_half_the_rate_of_the_one_behind_it(name):
    model = made(name)
    optimizer = Optimizer(model, tuning(weight_decay=0.0))
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.25)
    for key, number in stages_behind(model).items():
        moved = before[key] - model.get_parameter(key).detach()
        torch.testing.assert_close(moved, torch.full_like(moved, 0.25 * STAGE_RATE**number), rtol=1e-3, atol=1e-5)


def test_from_scratch_all_move_alike():
    model = made("efficientnet-lite0")
    assert len(Optimizer(model, tuning(pretrained="none")).groups) == 3


def test_statistics_of_batch_norms_stay_those_of_the_pretraining():
    model, pictures = made("efficientnet-lite0"), pictures_of(small("efficientnet-lite0"), 4)
    training_mode(model, tuning())
    assert model.training
    before = {key: tensor.clone() for key, tensor in model.named_buffers()}
    model(pictures).sum().backward()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.named_buffers())
    training_mode(model, tuning(pretrained="none"))
    assert all(module.training for module in model.modules() if isinstance(module, nn.BatchNorm2d))
