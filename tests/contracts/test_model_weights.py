"""The Classifier contract: weights by seed and by state dict, and how many they are."""

from __future__ import annotations

import copy

import torch

from striate.models import Architecture
from striate.models.summary import summarize

from .networks import as_after_training, built, every_model, made, pictures_of, small


@every_model
def test_same_seed_makes_the_same_network(name):
    first, second = made(name).state_dict(), built(name, small(name)).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_model
def test_state_dict_makes_an_equal_network(name):
    model, pictures = as_after_training(name), pictures_of(small(name))
    other = built(name, small(name), seed=99).eval()
    with torch.no_grad():
        assert not torch.equal(other(pictures), model(pictures))
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert torch.equal(other(pictures), model(pictures))


@every_model
def test_parameters_of_the_table_of_layers_are_the_networks(name):
    model = made(name)
    assert sum(row.parameters for row in summarize(model, small(name))) == sum(p.numel() for p in model.parameters())


@every_model
def test_architecture_survives_json(name):
    architecture = Architecture(name=name, options={"widths": [8, 16], "small": True, "dropout": 0.5})
    assert Architecture.model_validate_json(architecture.model_dump_json()) == architecture
