"""The default network, step by step from its description."""

from __future__ import annotations

import torch
import torch.nn.functional as F

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
