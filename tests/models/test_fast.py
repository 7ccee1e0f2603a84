"""The default network, step by step from its description."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from striate.core.errors import SettingsError
from striate.models import MODELS
from striate.models.summary import parameter_count


def test_fast_net_is_convolution_pooling_norm_relu_thrice_then_each_maps_maximum():
    torch.manual_seed(0)
    model = MODELS["fast"]((3, 28, 20), 5).train()
    pictures = torch.randn(6, 3, 28, 20)
    weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
    x = pictures
    for stage in range(3):
        x = F.max_pool2d(F.conv2d(x, weights[f"body.{stage}.conv.weight"], padding=1), 2)
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
        gain, shift = (weights[f"body.{stage}.norm.{name}"][:, None, None] for name in ("weight", "bias"))
        x = ((x - mean) / (variance + 1e-5).sqrt() * gain + shift).clamp_min(0)
    assert x.shape == (6, 128, 3, 2)
    logits = x.flatten(2).max(2).values @ weights["classifier.weight"].T + weights["classifier.bias"]
    torch.testing.assert_close(model(pictures), logits, rtol=1e-4, atol=1e-5)


def test_parameters_are_those_counted_by_hand():
    # 3×3 filters without bias, two numbers per map for the norm, and the linear layer
    by_hand = 9 * (1 * 16 + 16 * 64 + 64 * 128) + 2 * (16 + 64 + 128) + (128 + 1) * 10
    assert parameter_count(MODELS["fast"]((1, 28, 28), 10)) == by_hand


def test_widths_are_as_asked():
    model = MODELS["fast"]((1, 16, 16), 2, widths=[4, 6, 8, 10]).eval()
    with torch.no_grad():
        assert model.features(torch.zeros(1, 1, 16, 16)).shape == (1, 10, 1, 1)
    assert list(model.stages()) == ["stage1", "stage2", "stage3", "stage4"]


RECORD = {"stem": "whitened", "depth": 2, "norm": "batch-shift", "activation": "gelu", "logit_scale": 1 / 9}


def test_with_every_option_it_is_the_network_of_the_records_step_by_step():
    torch.manual_seed(0)
    model = MODELS["fast"]((3, 32, 32), 10, widths=[6, 8, 10], **RECORD).train()
    pictures = torch.randn(6, 3, 32, 32)
    model.prepare([pictures])
    weights = {key: value.detach().clone() for key, value in model.state_dict().items()}

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
        y = (x - mean) / (variance + 1e-5).sqrt() + weights[f"{name}.bias"][:, None, None]
        return 0.5 * y * (1 + torch.erf(y / 2**0.5))

    x = F.conv2d(pictures, weights["stem.conv.weight"], weights["stem.conv.bias"])
    x = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    assert x.shape == (6, 24, 31, 31)
    for stage, side in enumerate((15, 7, 3)):
        x = normed(F.max_pool2d(F.conv2d(x, weights[f"body.{stage}.conv.weight"], padding=1), 2), f"body.{stage}.norm")
        x = normed(F.conv2d(x, weights[f"body.{stage}.conv2.weight"], padding=1), f"body.{stage}.norm2")
        assert x.shape[2:] == (side, side)
    logits = (x.flatten(2).max(2).values @ weights["classifier.weight"].T + weights["classifier.bias"]) / 9
    torch.testing.assert_close(model(pictures), logits, rtol=1e-4, atol=1e-5)
    assert list(model.stages()) == ["stem", "stage1", "stage2", "stage3"]


def test_prepare_sets_a_whitening_stem_only_and_asks_for_pictures_only_then():
    def never():
        raise AssertionError("no pictures are needed")
        yield

    for options in ({}, {"stem": "learned"}):
        model = MODELS["fast"]((3, 16, 16), 4, **options)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        model.prepare(never())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_identity_filters_copy_their_input_and_the_others_are_as_drawn():
    torch.manual_seed(0)
    drawn = MODELS["fast"]((3, 16, 16), 4, widths=[8, 12, 5])
    torch.manual_seed(0)
    model = MODELS["fast"]((3, 16, 16), 4, widths=[8, 12, 5], identity=True)
    x = torch.randn(2, 8, 6, 6)
    copied = model.body[1].conv(x)
    torch.testing.assert_close(copied[:, :8], x)
    assert torch.equal(model.body[1].conv.weight[8:], drawn.body[1].conv.weight[8:])
    assert not torch.equal(drawn.body[1].conv.weight[:8], model.body[1].conv.weight[:8])
    torch.testing.assert_close(model.body[2].conv(copied), copied[:, :5])
    assert torch.equal(model.classifier.weight, drawn.classifier.weight)


def test_a_stem_needs_one_pixel_more():
    with pytest.raises(SettingsError, match="--img-size 9"):
        MODELS["fast"]((1, 8, 8), 4, stem="learned")
    assert MODELS["fast"]((1, 9, 9), 4, stem="learned").eval()(torch.zeros(1, 1, 9, 9)).shape == (1, 4)
