"""Our ResNet-18 is torchvision's: same names, same numbers."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from striate.core.errors import SettingsError
from striate.models import resnet
from striate.models.summary import parameter_count


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """Return torchvision's network, random weights and random batch norm statistics."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module")
def ours(reference) -> resnet.ResNet:
    """Return our network with the same weights."""
    model = resnet.resnet18((3, 224, 224), 1000).eval()
    model.load_state_dict(reference.state_dict())
    return model


@pytest.mark.parametrize("sides", [(224, 224), (193, 193), (65, 130)])
def test_torchvisions_weights_give_torchvisions_logits(ours, reference, sides):
    torch.manual_seed(1)
    pictures = torch.randn(2, 3, *sides)
    with torch.no_grad():
        expected = reference(pictures)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours(pictures), expected, rtol=1e-5, atol=1e-5)


def test_torchvisions_weights_give_torchvisions_gradients(ours, reference):
    torch.manual_seed(2)
    pictures = torch.randn(2, 3, 96, 96)
    for model in (ours, reference):
        model.zero_grad()
        nn.functional.cross_entropy(model(pictures), torch.tensor([3, 7])).backward()
    theirs = {name: parameter.grad for name, parameter in reference.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name], rtol=1e-4, atol=1e-5)


def test_names_shapes_and_order_of_all_weights_are_torchvisions(ours, reference):
    here, there = ours.state_dict(), reference.state_dict()
    assert [(key, value.shape, value.dtype) for key, value in here.items()] == [
        (key, value.shape, value.dtype) for key, value in there.items()
    ]


def test_the_papers_stem_colour_and_1000_classes_make_11689512_parameters(ours):
    assert parameter_count(ours) == 11_689_512


@pytest.mark.parametrize(("side", "small"), [(28, True), (32, True), (64, True), (65, False), (224, False)])
def test_small_pictures_get_the_small(side, small):
    model = resnet.resnet18((3, side, side), 10).eval()
    assert model.conv1.kernel_size == ((3, 3) if small else (7, 7))
    with torch.no_grad():
        maps = model.features(torch.zeros(1, 3, side, side))
    reduction = 8 if small else 32
    rounded_up = -(-side // reduction)
    assert maps.shape == (1, 512, rounded_up, rounded_up)
    # 7·7 weights per filter and colour become 3·3
    full = 11_689_512 - 990 * 513
    assert parameter_count(model) == full - (64 * 3 * (49 - 9) if small else 0)


def test_shorter_side_decides_the_stem():
    assert resnet.resnet18((3, 64, 200), 10).conv1.kernel_size == (3, 3)


@pytest.mark.parametrize("small", [True, False])
def test_stem_can_be_chosen(small):
    assert resnet.resnet18((1, 64, 64), 10, small=small).conv1.kernel_size == ((3, 3) if small else (7, 7))
    assert resnet.resnet18((1, 96, 96), 10, small=small).conv1.kernel_size == ((3, 3) if small else (7, 7))


def test_too_small_pictures_are_refused():
    with pytest.raises(SettingsError, match="--img-size 8"):
        resnet.resnet18((3, 7, 32), 10)
