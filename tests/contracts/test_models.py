"""The Classifier contract, kept by every registered network and by those of timm that stand for its kinds."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.models import MODELS, Architecture, Classifier, build, place
from striate.models.documents import DocumentNet
from striate.models.fast import FastNet
from striate.models.summary import summarize

CLASSES = 4
OWN = list(MODELS)
# plain, depthwise with another last stage, with squeezing, channel layer norm; class token; channels last
TIMM = [
    "timm/resnet10t",
    "timm/efficientnet_lite0",
    "timm/mobilenetv3_small_050",
    "timm/convnext_atto",
    "timm/vit_tiny_patch16_224",
    "timm/test_vit2",
    "timm/swinv2_cr_tiny_ns_224",
]
OPTIONS = {"timm/swinv2_cr_tiny_ns_224": {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 3, 4]}}
# their form for large pictures has 60 to 140 million weights; tests/models compares it with torchvision's
HEAVY = {"alexnet", "vgg11", "vgg16", "vgg19"}

every_model = pytest.mark.parametrize("name", [*OWN, *TIMM])
every_own_model = pytest.mark.parametrize("name", OWN)
every_shape = pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
        for name in [*OWN, *TIMM]
        for shape in [(1, 28, 28), (3, 33, 26), (3, 72, 72)]
        if (name in OWN or min(shape) > 26) and (name not in HEAVY or shape != (3, 72, 72))
    ],
)


@cache
def small_side(name: str) -> int:
    """Return the least side of our own networks, which say it themselves; 32 for timm's."""
    if name in TIMM:
        return 32
    with pytest.raises(SettingsError) as caught:
        build(Architecture(name=name), spec_of_shape((1, 1, 1)))
    return int(str(caught.value.fix).split("--img-size ")[1].split()[0])


def small(name: str, channels: int = 1) -> tuple[int, int, int]:
    return channels, small_side(name), small_side(name)


def spec_of_shape(shape: tuple[int, int, int], classes: int = CLASSES) -> ImageSpec:
    channels, height, width = shape
    names = tuple(f"class {number}" for number in range(classes))
    return ImageSpec(
        channels=channels, height=height, width=width, classes=names, mean=(0.5,) * channels, std=(0.25,) * channels
    )


@cache
def prototype(name: str, shape: tuple[int, int, int], classes: int) -> Classifier:
    return built(name, shape, classes)


def built(name: str, shape: tuple[int, int, int], classes: int = CLASSES, seed: int = 0, **options) -> Classifier:
    torch.manual_seed(seed)
    architecture = Architecture(name=name, options={**OPTIONS.get(name, {}), **options})
    return build(architecture, spec_of_shape(shape, classes))


def made(name: str, shape: tuple[int, int, int] | None = None, classes: int = CLASSES) -> Classifier:
    """Return a fresh network; a copy, since drawing the weights takes longer than the rest of most tests."""
    return copy.deepcopy(prototype(name, shape or small(name), classes))


def as_after_training(name: str, shape: tuple[int, int, int] | None = None) -> Classifier:
    """Return a network whose batch norms have statistics of their own, in evaluation mode."""
    return trained(made(name, shape))


def trained(model: Classifier) -> Classifier:
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return model.eval()


def pictures_of(shape: tuple[int, int, int], count: int = 2) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


@every_shape
def test_forward_gives_one_logit_per_class(name, shape):
    with torch.no_grad():
        logits = made(name, shape).eval()(pictures_of(shape, 3))
    assert logits.shape == (3, CLASSES)
    assert logits.dtype == torch.float32
    assert bool(torch.isfinite(logits).all())


@every_shape
def test_head_of_features_is_forward(name, shape):
    model, pictures = as_after_training(name, shape), pictures_of(shape)
    with torch.no_grad():
        features = model.features(pictures)
        assert features.ndim == 4
        assert len(features) == len(pictures)
        assert torch.equal(model.head(features), model(pictures))


@every_shape
def test_last_stage_gives_the_features_and_every_stage_gives_maps(name, shape):
    model, pictures = as_after_training(name, shape), pictures_of(shape)
    seen: dict[str, Tensor] = {}
    for key, stage in model.stages().items():
        stage.register_forward_hook(lambda _, __, output, key=key: seen.update({key: output.clone()}))
    with torch.no_grad():
        features = model.features(pictures)
    assert list(seen) == list(model.stages())  # they ran in the order they are listed
    assert all(maps.ndim == 4 and len(maps) == len(pictures) for maps in seen.values())
    assert torch.equal(list(seen.values())[-1], features)
    sides = [maps.shape[2] for maps in seen.values()]
    assert sides == sorted(sides, reverse=True)


@every_model
def test_stages_are_modules_of_the_network_each_under_one_name(name):
    model = made(name)
    stages = model.stages()
    assert len(stages) >= 2
    assert len({id(stage) for stage in stages.values()}) == len(stages)
    order = [id(module) for module in model.modules()]
    places = [order.index(id(stage)) for stage in stages.values()]
    assert places == sorted(places)


@every_model
def test_replaced_head_gives_other_classes_from_the_same_features(name):
    model, pictures = as_after_training(name), pictures_of(small(name))
    with torch.no_grad():
        before = model.features(pictures)
        model.replace_head(7)
        assert torch.equal(model.features(pictures), before)
        assert model(pictures).shape == (2, 7)
    again = made(name, classes=7)
    again.load_state_dict(model.state_dict())  # the architecture with 7 classes


@every_model
def test_replaced_head_is_of_the_type_and_on_the_device_of_the_network(name):
    model = made(name).double().eval()
    model.replace_head(3)
    with torch.no_grad():
        assert model(pictures_of(small(name)).double()).dtype == torch.float64
    elsewhere = made(name).to("meta")
    elsewhere.replace_head(3)
    assert {parameter.device.type for parameter in elsewhere.parameters()} == {"meta"}


@every_model
def test_state_dict_makes_an_equal_network(name):
    model, pictures = as_after_training(name), pictures_of(small(name))
    other = built(name, small(name), seed=99).eval()
    with torch.no_grad():
        assert not torch.equal(other(pictures), model(pictures))
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert torch.equal(other(pictures), model(pictures))


@every_model
def test_same_seed_makes_the_same_network(name):
    first, second = made(name).state_dict(), built(name, small(name)).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_own_model  # timm starts some weights at zero, behind which gradients are zero as well
def test_gradients_reach_every_parameter(name):
    model = made(name).train()
    loss = nn.functional.cross_entropy(model(pictures_of(small(name), 8)), torch.arange(8) % CLASSES)
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad, key
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().sum()) > 0, key


@every_model
def test_network_can_be_fitted_to_a_few_pictures(name):
    torch.manual_seed(0)
    light = isinstance(made(name), DocumentNet | FastNet)
    shape = (1, 20, 20) if light else small(name)
    # without a norm these need far more than a few steps; VGG's authors started them from trained shallower ones
    model = (built(name, shape, norm="batch") if name in HEAVY else made(name, shape)).train()
    pictures, labels = pictures_of(shape, 8), torch.arange(8) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(100 if light else 40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pictures), labels)
        if float(loss.detach()) < 0.5:  # chance is ln 4 = 1.39
            return
        loss.backward()
        optimizer.step()
    pytest.fail("the loss does not fall")


@every_model
def test_evaluation_mode_is_deterministic_and_changes_no_statistics(name):
    model, pictures = as_after_training(name), pictures_of(small(name), 4)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(pictures), model(pictures))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@every_model
def test_a_picture_alone_gets_the_logits_it_gets_in_a_batch(name):
    model, pictures = as_after_training(name), pictures_of(small(name), 5)
    with torch.no_grad():
        together = model(pictures)
        alone = torch.cat([model(picture[None]) for picture in pictures])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


@every_model
def test_memory_layout_of_the_filters_does_not_change_the_logits(name):
    model, pictures = as_after_training(name, small(name, 3)), pictures_of(small(name, 3))
    with torch.no_grad():
        before = model(pictures)
        placed = place(model, torch.device("cpu"))
        after = placed(pictures.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


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


NORMS = ["none", "batch", "batch-shift", "group:2", "layer"]
KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


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


@every_model
def test_bf16_step_gives_a_finite_loss_and_finite_gradients(name):
    model = made(name).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(pictures_of(small(name), 8))
    loss = nn.functional.cross_entropy(logits.float(), torch.arange(8) % CLASSES)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())


@every_model
def test_parameters_of_the_table_of_layers_are_the_networks(name):
    model = made(name)
    assert sum(row.parameters for row in summarize(model, small(name))) == sum(p.numel() for p in model.parameters())


@every_model
def test_architecture_survives_json(name):
    architecture = Architecture(name=name, options={"widths": [8, 16], "small": True, "dropout": 0.5})
    assert Architecture.model_validate_json(architecture.model_dump_json()) == architecture
