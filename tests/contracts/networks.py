"""Every registered network, and those of timm that stand for its kinds, made small for the Classifier contract."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.models import MODELS, Architecture, Classifier, build

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


def spec_of_shape(shape: tuple[int, int, int], classes: int = CLASSES) -> ImageSpec:
    channels, height, width = shape
    names = tuple(f"class {number}" for number in range(classes))
    return ImageSpec(
        channels=channels, height=height, width=width, classes=names, mean=(0.5,) * channels, std=(0.25,) * channels
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


def built(name: str, shape: tuple[int, int, int], classes: int = CLASSES, seed: int = 0, **options) -> Classifier:
    torch.manual_seed(seed)
    architecture = Architecture(name=name, options={**OPTIONS.get(name, {}), **options})
    return build(architecture, spec_of_shape(shape, classes))


@cache
def prototype(name: str, shape: tuple[int, int, int], classes: int) -> Classifier:
    return built(name, shape, classes)


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
