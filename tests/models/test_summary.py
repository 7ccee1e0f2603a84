"""The table of layers: every column against hand computation and a second, independent way."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import ResNet18_Weights

from striate.models import MODELS, Classifier
from striate.models.documents import DocumentNet, flattened_size
from striate.models.resnet import resnet18
from striate.models.summary import LayerSummary, parameter_count, summarize

FASHION_CONV = (1 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128


def named(name: str, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10) -> Classifier:
    torch.manual_seed(0)
    return MODELS[name](shape, classes)


def rows_of(name: str, shape: tuple[int, int, int] = (1, 28, 28)) -> dict[str, LayerSummary]:
    return {row.name: row for row in summarize(named(name, shape), shape)}


def test_fashion_cnn_has_the_documents_number_of_parameters():
    by_hand = FASHION_CONV + (128 * 3 * 3 + 1) * 64 + (64 + 1) * 10
    assert by_hand == 167_114
    model = named("fashion-cnn")
    assert parameter_count(model) == by_hand
    assert sum(row.parameters for row in summarize(model, (1, 28, 28))) == by_hand


def test_fashion_cnn_without_pooling_would_have_24_times_as_many():
    by_hand = FASHION_CONV + (128 * 22 * 22 + 1) * 64 + (64 + 1) * 10  # 28 → 26 → 24 → 22
    assert by_hand == 4_058_314
    stages: dict[str, nn.Module] = {
        name: nn.Sequential(*(layer for layer in stage if not isinstance(layer, nn.MaxPool2d)))
        for name, stage in named("fashion-cnn").stages().items()
    }
    size = flattened_size(stages, (1, 28, 28))
    assert size == 128 * 22 * 22
    dense = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU())
    assert parameter_count(DocumentNet(stages, dense, 64, 10)) == by_hand


def test_rows_of_fashion_cnn_are_those_computed_by_hand():
    table = [
        # kind, shape, parameters, multiply-adds, receptive field
        ("Conv2d", (32, 26, 26), 320, 26 * 26 * 32 * 9, 3),
        ("MaxPool2d", (32, 13, 13), 0, 0, 4),
        ("ReLU", (32, 13, 13), 0, 0, 4),
        ("Conv2d", (64, 11, 11), 18_496, 11 * 11 * 64 * 32 * 9, 8),
        ("MaxPool2d", (64, 5, 5), 0, 0, 10),
        ("ReLU", (64, 5, 5), 0, 0, 10),
        ("Conv2d", (128, 3, 3), 73_856, 3 * 3 * 128 * 64 * 9, 18),
        ("ReLU", (128, 3, 3), 0, 0, 18),
        ("Flatten", (1152,), 0, 0, 28),
        ("Linear", (64,), 73_792, 1152 * 64, 28),
        ("ReLU", (64,), 0, 0, 28),
        ("Linear", (10,), 650, 640, 28),
    ]
    rows = summarize(named("fashion-cnn"), (1, 28, 28))
    assert [(r.kind, r.shape, r.parameters, r.multiply_adds, r.receptive_field) for r in rows] == table
    assert rows[0].name == "convolutional.conv1.0"
    assert rows[-1].name == "classifier"


def test_resnet18_costs_what_torchvision_publishes():
    published = ResNet18_Weights.IMAGENET1K_V1.meta
    model = resnet18((3, 224, 224), 1000)
    rows = summarize(model, (3, 224, 224))
    assert sum(row.parameters for row in rows) == published["num_params"] == 11_689_512
    assert round(sum(row.multiply_adds for row in rows) / 1e9, 3) == published["_ops"] == 1.814


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 37, 32)])
def test_multiply_adds_are_half_of_torchs_flop_count(name, shape):
    model = named(name, shape)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    assert 2 * sum(row.multiply_adds for row in summarize(model, shape)) == counter.get_total_flops()


def recursion(windows: list[tuple[int, int]]) -> list[int]:
    """Return the receptive field after each (kernel, stride): grows by (kernel - 1) × the product of strides before."""
    sizes, size, step = [], 1, 1
    for kernel, stride in windows:
        size, step = size + (kernel - 1) * step, step * stride
        sizes.append(size)
    return sizes


def test_receptive_fields_of_mnist_cnn_follow_the_recursion():
    rows = [row for row in rows_of("mnist-cnn").values() if row.kind in ("Conv2d", "MaxPool2d")]
    assert [row.receptive_field for row in rows] == recursion([(5, 1), (2, 2), (5, 1), (2, 2)]) == [5, 6, 14, 16]


def test_receptive_fields_of_the_fast_net_follow_the_recursion():
    rows = [row for row in rows_of("fast").values() if row.kind in ("Conv2d", "MaxPool2d")]
    assert [row.receptive_field for row in rows] == recursion([(3, 1), (2, 2)] * 3) == [3, 4, 8, 10, 18, 22]


def test_receptive_field_of_resnet18_is_the_published_435_pixels():
    # along the longest path: stem, pool, then four 3×3 per stage, the first of stages 2 to 4 with stride 2
    path = [(7, 2), (3, 2), *[(3, 1)] * 4, *([(3, 2), (3, 1), (3, 1), (3, 1)] * 3)]
    sizes = recursion(path)
    assert sizes[-1] == 435
    side = 448  # larger than the field, so nothing is cut off
    rows = rows_of("resnet18", (3, side, side))
    assert rows["conv1"].receptive_field == sizes[0]
    assert rows["maxpool"].receptive_field == sizes[1]
    for stage in (1, 2, 3, 4):
        convolutions = [rows[f"layer{stage}.{block}.conv{n}"].receptive_field for block in (0, 1) for n in (1, 2)]
        assert convolutions == sizes[4 * stage - 2 : 4 * stage + 2]
    # a shortcut sees what its block's input sees (a 1×1 window adds nothing)
    assert rows["layer2.0.downsample.0"].receptive_field == rows["layer1.1.conv2"].receptive_field
    assert rows["avgpool"].receptive_field == rows["fc"].receptive_field == side


def test_receptive_field_is_cut_off_at_the_pictures_own_side():
    rows = rows_of("resnet18", (3, 224, 224))
    assert rows["layer4.1.conv2"].receptive_field == 224
    assert rows["layer3.1.conv2"].receptive_field == 211


class Shortcut(nn.Module):
    """A convolution path and a 1×1 shortcut, added in place."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.long = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.short = nn.Conv2d(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.long(x)
        out += self.short(x)
        return self.relu(out)


class Positive(Classifier):
    """A net of convolutions and average pools with positive weights, so that no gradient cancels."""

    def __init__(self, layers: nn.Sequential, width: int) -> None:
        super().__init__()
        self.body = layers
        self.classifier = nn.Linear(width, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(0.5, 1)

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def head(self, features: Tensor) -> Tensor:
        return self.classifier(features.mean((2, 3)))

    def stages(self) -> dict[str, nn.Module]:
        return dict(self.body.named_children())

    def replace_head(self, classes: int) -> None:
        self.classifier = nn.Linear(self.classifier.in_features, classes)


POSITIVE: dict[str, Callable[[], nn.Sequential]] = {
    "plain": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Conv2d(2, 3, 5), nn.AvgPool2d(3, 2)),
    "strided": lambda: nn.Sequential(nn.Conv2d(1, 2, 7, 2, padding=3), nn.ReLU(), nn.Conv2d(2, 3, 3, 3), nn.ReLU()),
    "dilated": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, dilation=2), nn.Conv2d(2, 2, 3, dilation=4), nn.Conv2d(2, 3, 1)
    ),
    "overlapping pools": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same"), nn.AvgPool2d(3, stride=1), nn.AvgPool2d(4, stride=2), nn.Conv2d(2, 3, 3)
    ),
    "shortcuts": lambda: nn.Sequential(nn.Conv2d(1, 2, 5, 2), Shortcut(2, 2, 1), Shortcut(2, 3, 2)),
    "grouped": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 5, groups=4), nn.Conv2d(4, 3, 1)),
}


@pytest.mark.parametrize("name", POSITIVE)
def test_receptive_field_is_where_the_gradient_of_one_value_is_not_zero(name):
    side = 97  # far larger than the field: the centre value sees no border
    model = Positive(POSITIVE[name](), 3)
    expected = {row.name: row.receptive_field for row in summarize(model, (1, side, side))}
    seen: dict[str, Tensor] = {}
    for layer_name, layer in model.body.named_modules(prefix="body"):
        if not any(layer.children()):
            layer.register_forward_hook(lambda _, __, output, key=layer_name: seen.update({key: output.clone()}))
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    model(picture)
    assert set(seen) <= set(expected)
    assert len(seen) >= 3
    for layer_name, output in seen.items():
        centre = output[0, 0, output.shape[2] // 2, output.shape[3] // 2]
        (gradient,) = torch.autograd.grad(centre, picture, retain_graph=True)
        rows, columns = gradient[0, 0].nonzero().unbind(1)
        assert int(rows.max() - rows.min()) + 1 == expected[layer_name], layer_name
        assert int(columns.max() - columns.min()) + 1 == expected[layer_name], layer_name


@pytest.mark.parametrize("name", POSITIVE)
def test_multiply_adds_of_strides_dilation_and_groups_are_half_of_torchs_flop_count(name):
    model = Positive(POSITIVE[name](), 3)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 1, 41, 41))
    assert 2 * sum(row.multiply_adds for row in summarize(model, (1, 41, 41))) == counter.get_total_flops()


@pytest.mark.parametrize("name", MODELS)
def test_shapes_and_activation_memory_are_those_of_the_actual_tensors(name):
    shape = (3, 33, 28)
    model = named(name, shape).eval()
    rows = summarize(model, shape)
    outputs: list[tuple[tuple[int, ...], int]] = []
    for layer in model.modules():
        if not any(layer.children()):
            layer.register_forward_hook(
                lambda _, __, out: outputs.append((tuple(out.shape[1:]), out.untyped_storage().nbytes()))
            )
    with torch.no_grad():
        model(torch.zeros(1, *shape))
    assert [(row.shape, row.activation_bytes) for row in rows] == outputs


@pytest.mark.parametrize("name", MODELS)
def test_parameters_of_all_rows_are_the_networks(name):
    model = named(name, (3, 32, 32), classes=2)
    # a layer that is used twice (ReLU) has no parameters, so the sum counts each weight once
    assert sum(row.parameters for row in summarize(model, (3, 32, 32))) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_summary_leaves_weights_and_every_modules_mode_alone_and_its_hooks_gone(name):
    shape = (1, 28, 28)
    model = named(name, shape).train()
    frozen = next(iter(model.stages().values()))
    frozen.eval()  # a part in evaluation mode stays so
    modes = [module.training for module in model.modules()]
    weights = copy.deepcopy(model.state_dict())
    summarize(model, shape)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, weights[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_summary_cleans_up_after_pictures_that_do_not_fit():
    model = named("fast").train()
    with pytest.raises(RuntimeError):
        summarize(model, (3, 28, 28))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
