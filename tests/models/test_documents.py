"""The documents' networks, and LeNet-5, equal plain stacks of torch layers with the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import nn

from striate.models import MODELS
from striate.models.norm import ChannelLayerNorm
from striate.models.summary import parameter_count


def plain_mnist(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(flat, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, classes),
    )


def plain_fashion(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(64, 128, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(flat, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def plain_convnet(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(*(layer for number, layer in enumerate(plain_mnist(channels, flat, classes)) if number != 8))


def plain_smile(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(flat, classes),
    )


def plain_cifar_plain(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Flatten(),
        nn.Linear(flat, 384),
        nn.ReLU(),
        nn.Linear(384, 192),
        nn.ReLU(),
        nn.Linear(192, classes),
    )


def plain_cifar(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, classes),
    )


def plain_bird(channels: int, flat: int, classes: int, widths: tuple[int, int] = (16, 8)) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, widths[0], 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(*widths, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, 32),
        nn.Tanh(),
        nn.Linear(32, classes),
    )


def plain_wide_bird(channels: int, flat: int, classes: int) -> nn.Sequential:
    return plain_bird(channels, flat, classes, (32, 16))


def plain_lenet(channels: int, flat: int, classes: int, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=padding),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, classes),
    )


def plain_padded_lenet(channels: int, flat: int, classes: int) -> nn.Sequential:
    return plain_lenet(channels, flat, classes, padding=2)


def leaves(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if not any(module.children())]


ACTIVATIONS = (nn.ReLU, nn.Tanh)


def settled(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Leave out activation or maximum, whichever comes first of the two: after the second, their order is no matter.

    The documents pool last.
    """
    first = [
        layer
        for layer, following in pairwise(layers)
        if (isinstance(layer, ACTIVATIONS) and isinstance(following, nn.MaxPool2d))
        or (isinstance(layer, nn.MaxPool2d) and isinstance(following, ACTIVATIONS))
    ]
    return [layer for layer in layers if layer not in first]


def weighted(layers: Sequence[nn.Module]) -> list[nn.Module]:
    return [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]


def outputs(model: nn.Module, pictures: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: seen.append(out.detach().clone()))
        for layer in settled(leaves(model))
    ]
    model(pictures).square().sum().backward()
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("name", "plain", "shape", "flat", "classes"),
    [
        ("mnist-cnn", plain_mnist, (1, 28, 28), 64 * 7 * 7, 10),
        ("mnist-cnn", plain_mnist, (3, 21, 18), 64 * 5 * 4, 3),
        ("mnist-convnet", plain_convnet, (1, 28, 28), 64 * 7 * 7, 10),
        ("smile-cnn", plain_smile, (3, 64, 64), 256, 2),
        ("cifar10-plain", plain_cifar_plain, (3, 24, 24), 64 * 6 * 6, 10),
        ("cifar10-plain", plain_cifar_plain, (1, 32, 21), 64 * 8 * 6, 3),
        ("cifar10-cnn", plain_cifar, (3, 32, 32), 8192, 10),
        ("fashion-cnn", plain_fashion, (1, 28, 28), 128 * 3 * 3, 10),
        ("fashion-cnn", plain_fashion, (3, 32, 25), 128 * 4 * 2, 3),
        ("bird-plane", plain_bird, (3, 32, 32), 8 * 8 * 8, 2),
        ("bird-plane-wide", plain_wide_bird, (3, 32, 32), 16 * 8 * 8, 2),
        ("lenet5", plain_lenet, (1, 32, 32), 16 * 5 * 5, 10),
        ("lenet5", plain_padded_lenet, (1, 28, 28), 16 * 5 * 5, 10),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_every_layer_equals_a_plain_stack_with_the_same_weights(name, plain, shape, flat, classes, training):
    torch.manual_seed(0)
    ours, stack = MODELS[name](shape, classes), plain(shape[0], flat, classes)
    assert sorted(map(repr, leaves(ours))) == sorted(map(repr, leaves(stack)))
    for mine, theirs in zip(weighted(leaves(ours)), weighted(leaves(stack)), strict=True):
        theirs.load_state_dict(mine.state_dict())
    ours.train(training)
    stack.train(training)
    pictures = torch.randn(3, *shape)
    torch.manual_seed(5)  # of the dropout
    ours_seen = outputs(ours, pictures)
    torch.manual_seed(5)
    plain_seen = outputs(stack, pictures)
    assert len(ours_seen) == len(plain_seen) == len(settled(leaves(stack)))
    for mine, theirs in zip(ours_seen, plain_seen, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    for mine, theirs in zip(ours.parameters(), stack.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "parameters"),
    [
        ("mnist-cnn", (1, 28, 28), 10, (25 * 1 + 1) * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024 + 1025 * 10),
        ("mnist-convnet", (1, 28, 28), 10, 3_274_634),
        ("smile-cnn", (3, 64, 64), 2, 28 * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128 + (9 * 128 + 1) * 256 + 257 * 2),
        ("cifar10-plain", (3, 24, 24), 10, 1_068_298),  # published with TensorFlow's tutorial
        ("cifar10-cnn", (3, 32, 32), 10, 28 * 32 + (9 * 32 + 1) * 32 + 8193 * 512 + 513 * 10),
        ("fashion-cnn", (1, 28, 28), 10, 167_114),  # this and the next two: published in the documents
        ("bird-plane", (3, 32, 32), 2, 18_090),
        ("bird-plane-wide", (3, 32, 32), 2, 38_386),
        ("lenet5", (1, 32, 32), 10, 61_706),
        ("lenet5", (1, 28, 28), 10, 61_706),  # padded to the same size
    ],
)
def test_parameters_are_those_published_or_counted_by_hand(name, shape, classes, parameters):
    assert parameter_count(MODELS[name](shape, classes)) == parameters


@pytest.mark.parametrize(
    ("name", "option", "kind", "layers"),
    [
        ("mnist-cnn", "dropout", nn.Dropout, 1),
        ("mnist-convnet", "dropout", nn.Dropout, 1),
        ("smile-cnn", "dropout", nn.Dropout, 2),
        ("cifar10-cnn", "dropout", nn.Dropout, 1),
        ("cifar10-cnn", "conv_dropout", nn.Dropout, 1),
        ("bird-plane", "dropout", nn.Dropout2d, 2),
        ("bird-plane-wide", "dropout", nn.Dropout2d, 2),
    ],
)
def test_dropout_is_as_asked_in_layers_of_its_own(name, option, kind, layers):
    torch.manual_seed(0)
    model = MODELS[name]((1, 20, 20), 2, **{option: 0.25}).train()
    found = [module for module in model.modules() if isinstance(module, kind) and module.p == 0.25]
    assert len(found) == layers
    shape = (1, 100_000, 1, 1)  # as many maps
    for layer in found:
        assert float((layer(torch.ones(shape)) == 0).float().mean()) == pytest.approx(0.25, abs=0.01)  # 7 deviations


def test_dropout_of_the_bird_networks_drops_whole_maps_after_each_pool():
    kinds = [type(layer) for layer in MODELS["bird-plane-wide"]((3, 32, 32), 2, dropout=0.4).convolutional.modules()]
    block = [nn.Sequential, nn.Conv2d, nn.MaxPool2d, nn.Tanh, nn.Dropout2d]
    assert kinds == [nn.Sequential, *block, *block]


DOCUMENTS = ["mnist-cnn", "mnist-convnet", "smile-cnn", "cifar10-plain", "cifar10-cnn", "fashion-cnn", "bird-plane"]


@pytest.mark.parametrize("name", [*DOCUMENTS, "bird-plane-wide", "lenet5"])
@pytest.mark.parametrize(
    ("norm", "kinds"),
    [
        ("batch", (nn.BatchNorm2d, nn.BatchNorm1d)),
        ("group:2", (nn.GroupNorm, nn.GroupNorm)),
        ("layer", (ChannelLayerNorm, nn.LayerNorm)),
    ],
)
def test_norm_follows_every_convolution_and_hidden_dense_layer_before_the_activation(name, norm, kinds):
    plain, model = leaves(MODELS[name]((1, 24, 24), 4)), leaves(MODELS[name]((1, 24, 24), 4, norm=norm))
    expected: list[type[nn.Module]] = []
    for layer in plain:
        expected.append(type(layer))
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer is not plain[-1]:
            expected.append(kinds[isinstance(layer, nn.Linear)])
    assert [type(layer) for layer in model] == expected
    filters = weighted(model)
    assert [layer.bias is not None for layer in filters] == [layer is filters[-1] for layer in filters]


def test_mnist_convnet_is_linear_between_its_dense_layers():
    dense = MODELS["mnist-convnet"]((1, 28, 28), 10).dense
    assert not any(isinstance(layer, ACTIVATIONS) for layer in dense)
