"""First filters in pixels: the weights themselves, or what a whitening stem makes of the next layer's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.models import MODELS
from striate.models.first_filters import first_filters, through_stem
from striate.models.stem import PatchStem

from ..contracts.networks import every_model, made


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU()], ids=["relu", "gelu"])
@pytest.mark.parametrize("channels", [1, 3])
def test_through_a_stem_they_are_the_odd_part_of_the_response(activation: nn.Module, channels: int) -> None:
    torch.manual_seed(0)
    stem = PatchStem(channels, whitened=True, activation=activation).double()
    stem.whiten([torch.randn(8, channels, 9, 9)])
    nn.init.zeros_(stem.conv.bias)
    convolution = nn.Conv2d(8 * channels, 5, 3, bias=False).double()
    images = torch.randn(3, channels, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        odd = (convolution(stem(images)) - convolution(stem(-images))) / 2
        patterns = through_stem(stem, convolution.weight).double()
        torch.testing.assert_close(nn.functional.conv2d(images, patterns), odd, rtol=1e-5, atol=1e-5)


def test_of_a_whitening_stem_they_are_the_next_layers_and_of_a_learned_one_its_own() -> None:
    fixed = MODELS["fast"]((3, 28, 28), 10, stem="whitened")
    assert first_filters(fixed).shape == (16, 3, 4, 4)
    learned = MODELS["fast"]((3, 28, 28), 10, stem="learned")
    assert first_filters(learned).equal(learned.stem.conv.weight)


@every_model
def test_every_network_has_some_in_the_pictures_channels(name: str) -> None:
    model = made(name)
    filters = first_filters(model)
    assert filters.ndim == 4
    assert filters.shape[1] == 1
    assert not filters.requires_grad
