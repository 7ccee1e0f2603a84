"""EfficientNet-Lite0 against timm's network of the same weights, and the weights of the `pretrained` extra."""

from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
import torch.nn.functional as F

from striate.core.errors import SettingsError
from striate.models import MODELS, Classifier
from striate.models.summary import parameter_count, summarize

from .test_history import draw


@cache
def pair() -> tuple[Classifier, torch.nn.Module]:
    reference = timm.create_model("tf_efficientnet_lite0").eval()
    draw(reference)
    ours = MODELS["efficientnet-lite0"]((3, 65, 65), 1000).eval()
    ours.load_state_dict(reference.state_dict())
    return ours, reference


@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 96)])
def test_timms_weights_give_timms_logits(size):
    ours, reference = pair()
    pictures = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(pictures)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours(pictures), expected, rtol=1e-4, atol=1e-4)


def test_names_shapes_and_order_of_all_weights_are_timms():
    here, there = (model.state_dict() for model in pair())
    assert [(key, value.shape) for key, value in here.items()] == [(key, value.shape) for key, value in there.items()]


def test_parameters_and_multiply_adds_are_those_published():
    """4.7 million and 407 million, in the README of the TPU repository's lite models."""
    with torch.device("meta"):
        model = MODELS["efficientnet-lite0"]((3, 224, 224), 1000)
        rows = summarize(model, (3, 224, 224))
    assert parameter_count(model) == 4_652_008
    assert sum(row.multiply_adds for row in rows) / 1e6 == pytest.approx(407, abs=25)


@pytest.mark.parametrize(("side", "antialias"), [(96, False), (32, True)])
def test_pictures_brought_to_a_side_are_those_torch_resizes(side, antialias):
    model = MODELS["efficientnet-lite0"]((3, 64, 48), 4, side=side).eval()
    plain = MODELS["efficientnet-lite0"]((3, 64, 48), 4).eval()
    plain.load_state_dict(model.state_dict())
    pictures = torch.randn(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    size = [round(64 * side / 48), side]
    resized = F.interpolate(pictures, size=size, mode="bilinear", antialias=antialias)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), plain(resized))


@pytest.mark.parametrize("side", [0, 7, 5000])
def test_sides_out_of_range_are_refused(side):
    with pytest.raises(SettingsError, match="8 to 2048"):
        MODELS["efficientnet-lite0"]((3, 64, 64), 4, side=side)
