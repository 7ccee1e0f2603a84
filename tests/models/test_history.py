"""The networks that torchvision has as well are torchvision's: same names, same numbers."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torchvision
from torch import Tensor, nn

from striate.models import MODELS, Classifier
from striate.models.summary import parameter_count, summarize

# ours, torchvision's, options of theirs, the least side of the form for large pictures that is worth looking at
NETWORKS = [
    ("resnet34", "resnet34", {}, 65),
    ("resnet50", "resnet50", {}, 65),
    ("alexnet", "alexnet", {}, 70),
    ("vgg16", "vgg16", {}, 65),
    ("googlenet", "googlenet", {"init_weights": True, "aux_logits": False}, 65),
    ("mobilenetv2", "mobilenet_v2", {}, 65),
]
every_network = pytest.mark.parametrize(("name", "theirs", "options", "side"), NETWORKS)


def draw(model: nn.Module) -> None:
    """Give every weight and statistic a random value at which signals neither vanish nor explode."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)


@cache
def pair(name: str, theirs: str, options: tuple[tuple[str, bool], ...], side: int) -> tuple[Classifier, nn.Module]:
    """Return our network and torchvision's with the same weights; drawn once, since some have 140 million."""
    with torch.device("meta"):
        reference = torchvision.models.get_model(theirs, weights=None, **dict(options)).eval()
        ours = MODELS[name]((3, side, side), 1000).eval()
    reference.to_empty(device="cpu")
    draw(reference)
    state = {
        key: value if value.is_floating_point() else value.zero_() for key, value in reference.state_dict().items()
    }
    ours.load_state_dict(state, assign=True)  # shares the memory
    return ours, reference


@every_network
def test_torchvisions_weights_give_torchvisions_logits(name, theirs, options, side):
    ours, reference = pair(name, theirs, tuple(options.items()), side)
    pictures = torch.randn(2, 3, side, side + 9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(pictures)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours(pictures), expected, rtol=1e-5, atol=1e-5)


@every_network
def test_names_shapes_and_order_of_all_weights_are_torchvisions(name, theirs, options, side):
    here, there = (model.state_dict() for model in pair(name, theirs, tuple(options.items()), side))
    assert [(key, value.shape, value.dtype) for key, value in here.items()] == [
        (key, value.shape, value.dtype) for key, value in there.items()
    ]


@every_network
def test_form_for_large_pictures_keeps_the_contract(name, theirs, options, side):
    ours, _ = pair(name, theirs, tuple(options.items()), side)
    pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    seen: dict[str, Tensor] = {}
    hooks = [
        stage.register_forward_hook(lambda _, __, output, key=key: seen.update({key: output.clone()}))
        for key, stage in ours.stages().items()
    ]
    with torch.no_grad():
        features = ours.features(pictures)
        for hook in hooks:
            hook.remove()
        assert torch.equal(ours.head(features), ours(pictures))
    assert list(seen) == list(ours.stages())
    assert torch.equal(list(seen.values())[-1], features)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet34", torchvision.models.ResNet34_Weights.IMAGENET1K_V1),
        ("resnet50", torchvision.models.ResNet50_Weights.IMAGENET1K_V1),
        ("alexnet", torchvision.models.AlexNet_Weights.IMAGENET1K_V1),
        ("vgg11", torchvision.models.VGG11_Weights.IMAGENET1K_V1),
        ("vgg16", torchvision.models.VGG16_Weights.IMAGENET1K_V1),
        ("vgg19", torchvision.models.VGG19_Weights.IMAGENET1K_V1),
        ("googlenet", torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1),
        ("mobilenetv2", torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1),
    ],
)
def test_parameters_and_multiply_adds_are_those_published(name, weights):
    with torch.device("meta"):  # nothing is computed
        model = MODELS[name]((3, 224, 224), 1000)
        rows = summarize(model, (3, 224, 224))
    assert parameter_count(model) == sum(row.parameters for row in rows) == weights.meta["num_params"]
    assert round(sum(row.multiply_adds for row in rows) / 1e9, 3) == weights.meta["_ops"]


@pytest.mark.parametrize("depth", [11, 16, 19])
def test_vgg_with_batch_norm_has_the_names_of_torchvisions(depth):
    with torch.device("meta"):
        reference = torchvision.models.get_model(f"vgg{depth}_bn", weights=None)
        ours = MODELS[f"vgg{depth}"]((3, 224, 224), 1000, norm="batch")
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in reference.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "option", "map_side"),
    [("resnet34", "small", 8), ("resnet50", "small", 8), ("googlenet", "small", 8),
     ("mobilenetv2", "small", 8), ("vgg16", "small", 4), ("alexnet", "small", 7)],
)  # fmt: skip
def test_form_follows_the_shorter_side_unless_it_is_chosen(name, option, map_side):
    def shapes(shape: tuple[int, int, int], **options: bool) -> list[torch.Size]:
        with torch.device("meta"):
            return [parameter.shape for parameter in MODELS[name](shape, 4, **options).parameters()]

    by_option = [shapes((3, 100, 100), **{option: value}) for value in (True, False)]
    maps = [
        MODELS[name]((1, 64, 64), 4, **{option: value}).eval().features(torch.zeros(1, 1, 64, 64)).shape[2]
        for value in (True, False)
    ]
    assert shapes((3, 64, 200)) == by_option[0]
    assert shapes((3, 65, 200)) == by_option[1]
    assert maps[0] == map_side
    assert maps[1] < maps[0]


def test_resnet34s_blocks_halve_the_maps_and_end_in_a_relu():
    """Document 001's block does neither."""
    model = MODELS["resnet34"]((3, 32, 32), 10).eval()
    assert [len(stage) for stage in (model.layer1, model.layer2, model.layer3, model.layer4)] == [3, 4, 6, 3]
    outputs: list[Tensor] = []
    for stage in list(model.stages().values())[1:]:
        for block in stage:
            block.register_forward_hook(lambda _, __, output: outputs.append(output.clone()))
    with torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    assert [output.shape[2] for output in outputs] == [32] * 3 + [16] * 4 + [8] * 6 + [4] * 3
    assert all(float(output.min()) == 0 for output in outputs)
