"""The Classifier contract: stages, features and head, and a head for other classes."""

from __future__ import annotations

import torch
from torch import Tensor

from .networks import as_after_training, every_model, every_shape, made, pictures_of, small


@every_shape
def test_head_of_features_is_forward(name, shape):
    model, pictures = as_after_training(name, shape), pictures_of(shape)
    with torch.no_grad():
        features = model.features(pictures)
        assert features.ndim == 4
        assert len(features) == len(pictures)
        assert torch.equal(model.head(features), model(pictures))


@every_shape
def test_last_stage_gives_the_features_and_every_stage_gives_maps(name, shape):
    model, pictures = as_after_training(name, shape), pictures_of(shape)
    seen: dict[str, Tensor] = {}
    for key, stage in model.stages().items():
        stage.register_forward_hook(lambda _, __, output, key=key: seen.update({key: output.clone()}))
    with torch.no_grad():
        features = model.features(pictures)
    assert list(seen) == list(model.stages())  # they ran in the order they are listed
    assert all(maps.ndim == 4 and len(maps) == len(pictures) for maps in seen.values())
    assert torch.equal(list(seen.values())[-1], features)
    sides = [maps.shape[2] for maps in seen.values()]
    assert sides == sorted(sides, reverse=True)


@every_model
def test_stages_are_modules_of_the_network_each_under_one_name(name):
    model = made(name)
    stages = model.stages()
    assert len(stages) >= 2
    assert len({id(stage) for stage in stages.values()}) == len(stages)
    order = [id(module) for module in model.modules()]
    places = [order.index(id(stage)) for stage in stages.values()]
    assert places == sorted(places)


@every_model
def test_replaced_head_gives_other_classes_from_the_same_features(name):
    model, pictures = as_after_training(name), pictures_of(small(name))
    with torch.no_grad():
        before = model.features(pictures)
        model.replace_head(7)
        assert torch.equal(model.features(pictures), before)
        assert model(pictures).shape == (2, 7)
    again = made(name, classes=7)
    again.load_state_dict(model.state_dict())  # the architecture with 7 classes


@every_model
def test_replaced_head_is_of_the_type_and_on_the_device_of_the_network(name):
    model = made(name).double().eval()
    model.replace_head(3)
    with torch.no_grad():
        assert model(pictures_of(small(name)).double()).dtype == torch.float64
    elsewhere = made(name).to("meta")
    elsewhere.replace_head(3)
    assert {parameter.device.type for parameter in elsewhere.parameters()} == {"meta"}
