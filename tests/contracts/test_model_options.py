"""The Classifier contract: the norm of every network, and options, names and sizes that are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.core.errors import SettingsError
from striate.models import Architecture, build

from .networks import (
    CLASSES,
    built,
    every_model,
    every_own_model,
    made,
    pictures_of,
    small,
    small_side,
    spec_of_shape,
    trained,
)

NORMS = ["none", "batch", "batch-shift", "group:2", "layer"]


@every_own_model
@pytest.mark.parametrize("norm", NORMS)
def test_norm_option_puts_one_kind_of_norm_in_the_same_places(name, norm):
    with torch.device("meta"):
        model, batch = built(name, small(name), norm=norm), built(name, small(name), norm="batch")
    kinds = {
        "none": (),
        "batch": (nn.BatchNorm1d, nn.BatchNorm2d),
        "batch-shift": (nn.BatchNorm1d, nn.BatchNorm2d),
        "group:2": (nn.GroupNorm,),
        "layer": (nn.LayerNorm,),
    }
    norms = [module for module in model.modules() if isinstance(module, sum(kinds.values(), ()))]
    assert all(isinstance(module, kinds[norm]) for module in norms)
    places = sum(isinstance(module, kinds["batch"]) for module in batch.modules())
    assert len(norms) == (0 if norm == "none" else places)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) > places >= 2
    assert norm != "none" or all(layer.bias is not None for layer in layers)


@every_own_model
@pytest.mark.parametrize("norm", NORMS)
def test_network_of_every_norm_keeps_the_contract(name, norm):
    model, pictures = built(name, small(name), norm=norm).train(), pictures_of(small(name), 4)
    nn.functional.cross_entropy(model(pictures), torch.arange(4)).backward()
    assert all(
        bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters() if parameter.requires_grad
    )
    trained(model)
    with torch.no_grad():
        assert torch.equal(model.head(model.features(pictures)), model(pictures))


@every_own_model
def test_too_small_pictures_are_refused_with_the_size_that_would_do(name):
    least = small_side(name)
    assert least <= 18  # MNIST's 28 and everything above
    with torch.no_grad():
        assert made(name, (1, least, least)).eval()(torch.zeros(1, 1, least, least)).shape == (1, CLASSES)
    with pytest.raises(SettingsError, match=rf"--img-size {least} or more") as caught:
        made(name, (1, 100, least - 1))
    assert caught.value.exit_code == 2


@every_model
def test_unknown_option_is_refused_by_name(name):
    with pytest.raises(SettingsError, match="bogus") as caught:
        build(Architecture(name=name, options={"bogus": 1}), spec_of_shape((1, 32, 32)))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fast", {"widths": []}),
        ("fast", {"widths": [-1]}),
        ("fast", {"widths": "wide"}),
        ("fast", {"widths": 3}),
        ("fast", {"widths": None}),
        ("fast", {"widths": [8] * 5}),  # 28 pixels cannot be halved five times
        ("mnist-cnn", {"dropout": 2}),
        ("mnist-cnn", {"dropout": "much"}),
        ("bird-plane-wide", {"dropout": -1}),
        ("vgg11", {"small": False}),  # five poolings want 32 pixels
        ("fast", {"norm": "bacth"}),
        ("fast", {"norm": None}),
        ("fast", {"norm": "batch-shift:0"}),
        ("fast", {"norm": "batch-shift:x"}),
        ("fast", {"norm": "batch-shifted"}),
        ("fast", {"stem": "white"}),
        ("fast", {"activation": "tanh"}),
        ("fast", {"norm": "group:0"}),
        ("fast", {"norm": "group:3"}),  # 16 maps
        ("timm/test_vit", {"depth": -1}),
        ("timm/test_vit", {"pretrained": True}),
        ("timm/test_vit", {"checkpoint_path": "weights.pth"}),
        ("timm/test_resnet", {"norm": "group:7"}),
    ],
)
def test_options_that_make_no_network_are_refused(name, options):
    with pytest.raises(SettingsError):
        build(Architecture(name=name, options=options), spec_of_shape((1, 28, 28)))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet", "' or 'timm/resnet"),
        ("vgg61", "did you mean 'vgg1"),
        ("convnext_ato", "'timm/convnext_atto'"),
        ("timm/resnet1", "'timm/resnet1"),
        ("timm/fashion-cnn", ""),
        ("hf-hub:timm/resnet18", ""),
        ("", ""),
    ],
)
def test_unknown_network_is_refused_with_the_nearest_of_ours_and_of_timms(name, nearest):
    with pytest.raises(SettingsError, match="unknown model") as caught:
        build(Architecture(name=name), spec_of_shape((1, 28, 28)))
    assert nearest in str(caught.value.fix)
