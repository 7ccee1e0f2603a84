"""Folding batch norms into convolutions leaves every network's logits as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.models.folding import folded

from ..contracts.networks import as_after_training, every_model, pictures_of, small


@every_model
def test_a_folded_network_gives_the_same_logits(name):
    model, pictures = as_after_training(name), pictures_of(small(name), 3)
    with torch.no_grad():
        expected = model(pictures)
        found = folded(model, pictures)(pictures)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "resnet18", "timm/resnet10t", "timm/efficientnet_lite0"])
def test_no_batch_norm_is_left(name):
    model = as_after_training(name)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    lighter = folded(model, pictures_of(small(name)))
    assert norms > 5
    assert not any(isinstance(module, nn.BatchNorm2d) for module in lighter.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == norms
