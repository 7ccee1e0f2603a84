"""Which layers look, under which names, and how far a network is computed."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from striate.core.errors import SettingsError
from striate.models import Architecture, build
from striate.style.network import PAPER_CONTENT, PAPER_STYLE, vgg_layers, with_layers
from tests.style.looking import network


def test_vggs_layers_are_where_torchvision_has_them():
    """relu1_1 … relu5_1 and relu4_2 are layers 1, 6, 11, 20, 29 and 22 of torchvision's VGG-19, by its own order."""
    with torch.device("meta"):
        theirs = torchvision.models.vgg19().features
    places, stage, number = {}, 1, 0
    for place, layer in enumerate(theirs):
        number += isinstance(layer, nn.Conv2d)
        if isinstance(layer, nn.ReLU):
            places[f"relu{stage}_{number}"] = place
        if isinstance(layer, nn.MaxPool2d):
            stage, number = stage + 1, 0
    assert [places[name] for name in (*PAPER_STYLE, PAPER_CONTENT)] == [1, 6, 11, 20, 29, 22]
    ours = network("vgg19")
    modules = list(ours.model.features)
    named = vgg_layers(ours.model)
    assert {name: modules.index(named[name]) for name in places} == places


def test_a_vgg_takes_the_papers_layers_and_others_their_stages():
    assert (network("vgg16").content, network("vgg16").style) == (PAPER_CONTENT, PAPER_STYLE)
    lite = network("efficientnet-lite0")
    assert (lite.content, lite.style) == ("stage3", ("stem", "stage1", "stage2", "stage3", "stage4"))
    few = network("lenet5")
    assert few.content in few.style
    assert few.style == tuple(few.model.stages())[:5]


def test_one_logit_leaves_a_vggs_names():
    spec = network().spec
    model = build(Architecture(name="vgg11", one_logit=True), spec)
    assert with_layers(model, spec, "", "", None, None).style == PAPER_STYLE


def test_layers_can_be_named():
    looks = network("resnet18", content="layer2.0.conv1", style="layer1, layer2.0.bn1")
    maps = looks.maps(torch.zeros(1, 3, 32, 40))
    assert list(maps) == ["layer1", "layer2.0.conv1", "layer2.0.bn1"] or set(maps) == {
        "layer2.0.conv1", "layer1", "layer2.0.bn1",
    }  # fmt: skip
    assert all(map_.ndim == 4 for map_ in maps.values())


def test_all_layers_that_there_are_not_are_named():
    with pytest.raises(SettingsError, match=r"no such layer: stage77, relu9_1") as caught:
        network("fast", content="stage77", style="stage1,relu9_1")
    assert caught.value.exit_code == 2
    with pytest.raises(SettingsError, match=r"relu1_1.*relu5_4"):
        network("vgg19", style="relu6_1")
    with pytest.raises(SettingsError, match="names no layer"):
        network("fast", style=" , ")


def test_a_layer_without_maps_is_refused():
    with pytest.raises(SettingsError, match="no feature maps come from this layer: fc"):
        network("resnet18", style="fc").maps(torch.zeros(1, 3, 32, 32))


def test_nothing_behind_the_last_layer_is_computed_and_no_hook_is_left():
    looks = network("resnet18", content="layer1", style="layer1")
    computed: list[str] = []
    for name in ("layer1", "layer2"):
        looks.model.get_submodule(name).register_forward_hook(lambda *_, name=name: computed.append(name))
    hooks = {name: len(module._forward_hooks) for name, module in looks.model.named_modules()}
    looks.maps(torch.zeros(1, 3, 32, 32))
    assert computed == ["layer1"]
    assert {name: len(module._forward_hooks) for name, module in looks.model.named_modules()} == hooks


def test_maps_are_those_of_the_usual_inputs():
    looks = network("fast", content="stage1", style="stage1")
    seen = []
    looks.model.stages()["stage1"].register_forward_hook(lambda module, inputs, output: seen.append(output))
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        looks.model((picture - 0.5) / 0.25)
        maps = looks.maps(picture)
    torch.testing.assert_close(maps["stage1"], seen[0], rtol=1e-4, atol=1e-5)


def test_a_network_of_one_size_says_so():
    with pytest.raises(SettingsError, match="takes no pictures of 40 × 48 pixels"):
        network("timm/vit_tiny_patch16_224").maps(torch.zeros(1, 3, 40, 48))
