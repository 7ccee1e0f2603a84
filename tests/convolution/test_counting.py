"""Parameters and memory against torch's own modules; the documents' figures, and what they really count."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import vgg16

from striate.convolution.counting import (
    Conv,
    Dense,
    Pool,
    activation_memory,
    conv_parameters,
    count_layers,
    dense_parameters,
)
from striate.convolution.networks import FASHION_NET, FASHION_NET_WITHOUT_POOLING, VGG16
from striate.core.errors import SettingsError
from striate.models import Architecture, build
from striate.models.summary import parameter_count, summarize

PICTURE = (3, 224, 224)


def test_a_convolution_against_a_dense_layer_of_the_same_output() -> None:
    side, inputs, outputs = 8, 3, 5
    assert conv_parameters((3, 3), inputs, outputs) == parameter_count(nn.Conv2d(inputs, outputs, 3)) == 140
    dense = dense_parameters(side * side * inputs, side * side * outputs)
    assert dense == parameter_count(nn.Linear(side * side * inputs, side * side * outputs)) == 61_760


def test_a_dense_neuron_that_sees_a_picture_of_200_by_200_in_colour() -> None:
    assert dense_parameters(200 * 200 * 3, 1) - 1 == 120_000


@pytest.mark.parametrize(("layers", "total"), [(FASHION_NET, 167_114), (FASHION_NET_WITHOUT_POOLING, 4_058_314)])
def test_the_fashion_net_with_and_without_pooling(layers, total) -> None:
    assert sum(row.parameters for row in count_layers(layers, (1, 28, 28))) == total


def test_the_table_is_that_of_the_real_fashion_net(make_spec) -> None:
    net = build(Architecture(name="fashion-cnn"), make_spec())
    real = [row for row in summarize(net, (1, 28, 28)) if row.kind in ("Conv2d", "MaxPool2d", "Linear")]
    ours = count_layers(FASHION_NET, (1, 28, 28))
    assert [(row.shape, row.parameters) for row in ours] == [(row.shape, row.parameters) for row in real]
    assert [r.receptive_field for r in ours[:5]] == [r.receptive_field for r in real[:5]]


def test_strides_and_padding_of_a_layer_are_those_of_torch() -> None:
    ours = count_layers([Conv(8, 7, padding=3, stride=2), Pool(3, 2), Conv(4, 5, "same"), Dense(6)], (3, 40, 30))
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, padding=3, stride=2),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 4, 5, padding="same"),
        nn.Sequential(nn.Flatten(), nn.LazyLinear(6)),
    )
    x = torch.zeros(1, 3, 40, 30)
    for row, layer in zip(ours, net, strict=True):
        x = layer(x)
        assert tuple(x.shape[1:]) == row.shape
        assert x[0].numel() == row.values
        assert parameter_count(layer) == row.parameters


def outputs_and_kept() -> tuple[Counter[str], Counter[torch.dtype]]:
    """Send one picture's shape through torchvision's VGG-16.

    Returns the numbers in every leaf layer's output by kind, and the bytes of the distinct tensors that
    autograd keeps for backward (parameters aside) by type. On torch's 'meta' device, which has shapes
    but no values.
    """
    with torch.device("meta"):
        net, x = vgg16(), torch.zeros(1, *PICTURE)
    made: Counter[str] = Counter()

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        made[type(layer).__name__] += output.numel()

    for layer in net.modules():
        if not any(layer.children()):
            layer.register_forward_hook(count)
    own = {parameter.untyped_storage()._cdata for parameter in net.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net.eval()(x)
    size: Counter[torch.dtype] = Counter()
    for tensor in kept.values():
        size[tensor.dtype] += tensor.untyped_storage().nbytes()
    return made, size


def test_vgg16_as_torchvision_builds_it() -> None:
    rows = count_layers(VGG16, PICTURE)
    with torch.device("meta"):
        assert sum(row.parameters for row in rows) == parameter_count(vgg16()) == 138_357_544
    assert [row.receptive_field for row in rows][:18:17] == [3, 212]


def test_vgg16_activation_memory_is_61_and_122_mb_where_90_and_180_are_published() -> None:
    made, kept = outputs_and_kept()
    memory = activation_memory(VGG16, PICTURE)

    # what we count: the picture, and each convolution's, pooling's and dense layer's output, once, in fp32
    picture = 3 * 224 * 224
    assert memory.forward == 4 * (picture + made["Conv2d"] + made["MaxPool2d"] + made["Linear"])
    assert memory.forward == 60_950_432
    assert memory.forward_backward == 121_900_864

    # what torch keeps for backward: the same, as its ReLUs work in place; the logits are not needed, the
    # adaptive pooling's output is a copy
    logits, adaptive = 4 * 1000, 4 * 25_088
    assert made["AdaptiveAvgPool2d"] == 25_088
    assert kept[torch.float32] == memory.forward - logits + adaptive
    # and where each maximum was, as int64, which the published figures leave out
    assert kept[torch.int64] == 8 * made["MaxPool2d"] == 12_242_944
    assert sum(kept.values()) == 73_289_728

    # 'about 90 MB' is 24 million values × 4 bytes (93 MB or 96 MB, as copied). The table printed with it
    # adds up to our 15.2 million, and ReLUs counted as outputs of their own make 28.7 million: neither is 24
    assert memory.forward / 4 == pytest.approx(15.2e6, rel=0.01)
    assert sum(made.values()) == 28_676_072
    assert memory.forward < 90e6 < 4 * sum(made.values())


def test_half_precision_takes_half() -> None:
    assert 2 * activation_memory(VGG16, PICTURE, 2).forward == activation_memory(VGG16, PICTURE).forward


def test_a_network_too_deep_for_its_pictures_is_refused() -> None:
    with pytest.raises(SettingsError, match="a window of 2 does not fit into 1 values"):
        count_layers([Pool()] * 5, (1, 16, 16))
