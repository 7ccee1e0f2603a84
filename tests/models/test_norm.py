"""Every normalisation against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from striate.core.errors import SettingsError
from striate.models import Architecture, build
from striate.models.norm import dense_norm, feature_norm, replace_batch_norms

EPS = 1e-5


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPS)


def with_own_affine(norm: nn.Module) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2, generator=generator)
        norm.bias.normal_(generator=generator)
    return norm, norm.weight.detach().numpy(), norm.bias.detach().numpy()


@pytest.mark.parametrize(
    ("norm", "groups", "axes"),
    [("batch", None, (0, 2, 3)), ("layer", None, (1,)), ("group:1", 1, (2, 3, 4)), ("group:3", 3, (2, 3, 4))],
)
def test_norms_of_feature_maps_are_their_definitions(norm, groups, axes):
    x = np.random.default_rng(0).normal(2, 3, (4, 6, 5, 3))
    grouped = x if groups is None else x.reshape(4, groups, -1, 5, 3)
    module, gain, shift = with_own_affine(feature_norm(norm, 6))
    expected = normalised(grouped, axes).reshape(x.shape) * gain[:, None, None] + shift[:, None, None]
    result = module.train()(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("norm", "groups", "axes"),
    [("batch", None, (0,)), ("layer", None, (1,)), ("group:1", 1, (2,)), ("group:4", 4, (2,))],
)
def test_norms_of_dense_layers_are_their_definitions(norm, groups, axes):
    x = np.random.default_rng(0).normal(2, 3, (5, 12))
    grouped = x if groups is None else x.reshape(5, groups, -1)
    module, gain, shift = with_own_affine(dense_norm(norm, 12))
    expected = normalised(grouped, axes).reshape(x.shape) * gain + shift
    result = module.train()(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [feature_norm, dense_norm])
def test_none_changes_nothing_and_has_no_weights(make):
    x, module = torch.randn(2, 6, 3, 3), make("none", 6)
    assert torch.equal(module(x), x)
    assert not list(module.parameters())


@pytest.mark.parametrize("make", [feature_norm, dense_norm])
@pytest.mark.parametrize(
    "norm", ["", "Batch", "group", "group:", "group:0", "group:-2", "group:²", "group:2.0", None, 3]
)
def test_other_words_are_refused_with_those_that_would_do(make, norm):
    with pytest.raises(SettingsError, match="batch, batch-shift, layer, none or group:G"):
        make(norm, 6)


@pytest.mark.parametrize("make", [feature_norm, dense_norm])
def test_groups_must_divide_the_channels(make):
    with pytest.raises(SettingsError, match="6 channels cannot be divided into 4"):
        make("group:4", 6)


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_efficientnet"])
@pytest.mark.parametrize("norm", ["none", "batch", "group:4", "layer"])
def test_the_norms_of_timms_networks_are_replaced_and_their_activations_stay(make_spec, name, norm):
    spec = make_spec(channels=3, side=32)
    torch.manual_seed(0)
    plain = build(Architecture(name=name), spec)
    torch.manual_seed(0)
    model = build(Architecture(name=name, options={"norm": norm}), spec)
    before = sum(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    kinds = {"batch": nn.BatchNorm2d, "group:4": nn.GroupNorm, "layer": nn.LayerNorm}
    for word, kind in kinds.items():
        assert sum(isinstance(module, kind) for module in model.modules()) == (before if word == norm else 0)
    activations = (nn.ReLU, nn.SiLU)
    count = [sum(isinstance(module, activations) for module in net.modules()) for net in (plain, model)]
    assert count[0] == count[1] > 0
    loss = model.train()(torch.randn(4, 3, 32, 32)).square().sum()
    loss.backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())


def test_without_norm_the_bias_is_that_of_the_convolution_before():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5))
    replace_batch_norms(net, "none")
    bias = torch.randn(5)
    net[1].load_state_dict({"bias": bias})
    pictures = torch.randn(2, 2, 6, 6)
    expected = nn.functional.conv2d(pictures, net[0].weight, bias)
    torch.testing.assert_close(net(pictures), expected)


def test_batch_shift_is_batch_norm_without_a_scale_and_with_statistics_that_follow_fast():
    x = torch.from_numpy(np.random.default_rng(0).normal(2, 3, (8, 6, 5, 3))).float()
    for norm, momentum in (("batch-shift", 0.4), ("batch-shift:0.25", 0.25)):
        module = feature_norm(norm, 6).train()
        bias = np.arange(6.0)
        with torch.no_grad():
            module.bias.copy_(torch.from_numpy(bias))
        made = module(x).detach().numpy()
        np.testing.assert_allclose(made, normalised(x.numpy(), (0, 2, 3)) + bias[:, None, None], atol=1e-4)
        variance = x.numpy().var((0, 2, 3), ddof=1)
        np.testing.assert_allclose(module.running_mean, momentum * x.numpy().mean((0, 2, 3)), rtol=1e-4)
        np.testing.assert_allclose(module.running_var, 1 - momentum + momentum * variance, rtol=1e-4)
        assert [name for name, p in module.named_parameters() if p.requires_grad] == ["bias"]
        assert [name for name, p in dense_norm(norm, 4).named_parameters() if p.requires_grad] == ["bias"]
        assert dense_norm(norm, 4).momentum == momentum
