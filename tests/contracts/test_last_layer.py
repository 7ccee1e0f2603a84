"""The last linear layer, found through the contract: its input times its weights is the logits of every network."""

from __future__ import annotations

import torch
from torch import nn

from striate.models import Architecture, build
from striate.models.last_layer import inputs_of, last_linear

from .networks import as_after_training, every_model, pictures_of, small, spec_of_shape


@every_model
def test_the_layer_is_found_and_makes_the_logits(name) -> None:
    model, pictures = as_after_training(name), pictures_of(small(name), 3)
    layer = last_linear(model, pictures)
    assert layer is not None
    with torch.no_grad(), inputs_of(model, layer) as seen:
        logits = model(pictures)
    (features,) = seen
    assert features.shape[0] == 3
    module = model.get_submodule(layer)
    made = features.double() @ module.weight.double().T + module.bias.double()
    scale = (logits.double() / made).median()
    torch.testing.assert_close(scale * made, logits.double(), rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        model(pictures)
    assert len(seen) == 1, "nothing is watched afterwards"


def test_of_one_logit_it_is_the_layer_of_that_logit() -> None:
    model = build(Architecture(name="fast", one_logit=True), spec_of_shape((1, 16, 16), 2)).eval()
    assert last_linear(model, pictures_of((1, 16, 16))) == "net.classifier"


def test_a_network_without_one_has_none() -> None:
    model = build(Architecture(name="fast"), spec_of_shape((1, 16, 16))).eval()
    head = model.classifier
    model.classifier = nn.Sequential(
        nn.Unflatten(1, (head.in_features, 1, 1)), nn.Conv2d(head.in_features, 4, 1), nn.Flatten()
    )
    assert last_linear(model, pictures_of((1, 16, 16))) is None
    model.classifier = nn.Sequential(
        nn.Linear(head.in_features, 8), nn.Unflatten(1, (4, 2)), nn.MaxPool1d(2), nn.Flatten()
    )
    assert last_linear(model, pictures_of((1, 16, 16))) is None, "its eight outputs are not the four logits"
