"""Stages: their figures add up to the network's, and their outputs are what hooks see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights

from striate.models.receptive import Field
from striate.models.resnet import resnet50
from striate.models.stage_summary import summarize_stages
from striate.models.summary import summarize

from ..contracts.networks import every_model, made, small
from .test_summary import POSITIVE, Positive


def test_the_stages_of_resnet50_add_up_to_what_torchvision_publishes() -> None:
    published = ResNet50_Weights.IMAGENET1K_V1.meta
    with torch.device("meta"):
        model = resnet50((3, 224, 224), 1000)
    stages = summarize_stages(model, (3, 224, 224))
    assert sum(stage.parameters for stage in stages) == published["num_params"]
    assert round(sum(stage.multiply_adds for stage in stages) / 1e9, 3) == published["_ops"]
    assert [stage.name for stage in stages] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    # three bottlenecks of 1×1, 3×3, 1×1 at 56×56 maps, and the shortcut of the first (He et al. 2015, table 1)
    by_hand = 56 * 56 * (64 * 64 + 2 * 256 * 64 + 3 * (9 * 64 * 64 + 64 * 256) + 64 * 256)
    assert stages[1].multiply_adds == by_hand
    assert stages[1].shape == (256, 56, 56)
    assert stages[1].contents == ("7 conv 1×1", "3 conv 3×3")


@every_model
def test_outputs_are_those_of_the_stages_and_nothing_is_lost(name: str) -> None:
    shape = small(name)
    model = made(name).eval()
    stages = summarize_stages(model, shape)
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, key=key: seen.setdefault(key, output))
        for key, module in model.stages().items()
    ]
    with torch.no_grad():
        logits = model(torch.zeros(2, *shape))
    for hook in hooks:
        hook.remove()
    assert {stage.name: stage.shape for stage in stages} == {
        **{key: tuple(output.shape[1:]) for key, output in seen.items()},
        "head": tuple(logits.shape[1:]),
    }
    rows = summarize(model, shape)
    assert sum(stage.parameters for stage in stages) == sum(p.numel() for p in model.parameters())
    assert sum(stage.multiply_adds for stage in stages) == sum(row.multiply_adds for row in rows)
    assert sum(stage.activation_bytes for stage in stages) == sum(row.activation_bytes for row in rows)
    assert all(stage.contents for stage in stages if stage.multiply_adds)


def support(maps: Tensor, place: int, picture: Tensor, along: int) -> tuple[int, int]:
    """Return the first pixel with a gradient and the one behind the last, along rows (0) or columns (1)."""
    (gradient,) = torch.autograd.grad(maps[0, 0, place, place], picture, retain_graph=True)
    places = gradient[0, 0].nonzero()[:, along]
    return int(places.min()), int(places.max()) + 1


PADDED = {
    "same padding": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Conv2d(2, 2, 5, padding="same")),
    "padded pool": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, 2, padding=1), nn.AvgPool2d(3, 2, padding=1)),
    "padded on one side": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(2, 2, 4))
    ),
}


@pytest.mark.parametrize("name", [*POSITIVE, *PADDED])
def test_a_field_lies_where_the_gradient_is_not_zero(name: str) -> None:
    side = 97
    last = 2 if name in PADDED else 3
    model = Positive({**POSITIVE, **PADDED}[name](), last)
    stages = {stage.name: stage for stage in summarize_stages(model, (1, side, side))}
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    outputs: dict[str, Tensor] = {}
    for key, module in model.stages().items():
        module.register_forward_hook(lambda _, __, output, key=key: outputs.update({key: output}))
    model(picture)
    for key, maps in outputs.items():
        fields = stages[key].fields
        assert fields is not None
        for place in (0, 1, maps.shape[2] // 2, maps.shape[2] - 1):
            for axis, field in enumerate(fields):
                first, end = field.span(place)
                wanted = (max(int(first), 0), min(int(end), side))
                assert support(maps, place, picture, axis) == wanted, (key, place, axis)


class Enlarging(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.interpolate(images, scale_factor=self.scale, mode="bilinear", antialias=self.scale < 1)


@pytest.mark.parametrize("scale", [2.0, 3.0, 0.5])
def test_a_field_of_resized_pictures_holds_all_that_a_value_sees_and_little_more(scale: float) -> None:
    side = 60
    model = Positive(nn.Sequential(Enlarging(scale), nn.Conv2d(1, 2, 5)), 2)
    (_, stage, _) = summarize_stages(model, (1, side, side))
    assert stage.fields is not None
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    maps = model.body(picture)
    for place in (5, maps.shape[2] // 2):
        first, end = stage.fields[0].span(place)
        seen = support(maps, place, picture, 0)
        assert first - 0.5 <= seen[0] <= first + 1.5
        assert end - 1.5 <= seen[1] <= end + 0.5


def test_where_everything_is_seen_there_is_no_place() -> None:
    model = Positive(nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(4)), 2)
    first, second, head = summarize_stages(model, (1, 20, 20))
    assert first.fields == (Field(size=3), Field(size=3))
    assert second.fields is head.fields is None
    assert second.receptive_field == head.receptive_field == 20
