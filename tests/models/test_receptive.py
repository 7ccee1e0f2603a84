"""Receptive fields, beside the pixels that gradients reach."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.explain.hooks import outputs_of
from striate.models.receptive import Field, receptive_fields

from ..contracts.networks import OWN, as_after_training, small
from ..explain.planted import Planted, fingerprint


def reached(model: nn.Module, module: nn.Module, shape: tuple[int, int, int], place: tuple[int, int], count: int = 3):
    """Return first and last+1 row and column of the pixels on which the values at a place depend."""
    inputs = torch.randn(count, *shape, generator=torch.Generator().manual_seed(4), requires_grad=True)
    with outputs_of({"it": module}, copied=True) as outputs:
        model(inputs)
    (gradient,) = torch.autograd.grad(outputs["it"][:, :, place[0], place[1]].sum(), inputs)
    used = (gradient != 0).any(1).any(0)  # H W
    rows, columns = used.any(1).nonzero().flatten().tolist(), used.any(0).nonzero().flatten().tolist()
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def positive(model: nn.Module) -> nn.Module:
    """Make every weight positive, so that no gradient vanishes on its way."""
    for parameter in model.parameters():
        parameter.data.abs_().add_(0.01)
    return model.eval()


@pytest.mark.parametrize("place", [(0, 1), (2, 3), (4, 4)])
def test_windows_of_all_kinds_see_exactly_what_gradients_reach(place):
    model = positive(
        Planted(
            [
                nn.Conv2d(3, 4, (5, 3), stride=(2, 1), padding=(2, 0)),
                nn.AvgPool2d(2, padding=1),
                nn.ZeroPad2d((1, 0, 0, 2)),
                nn.Conv2d(4, 4, 3, dilation=2, padding="same"),
                nn.Upsample(scale_factor=2, mode="bilinear"),
            ]
        )
    )
    shape = (3, 40, 22)
    fields = receptive_fields(model, dict(list(model.stages().items())[:4]), shape)
    for name, (rows, columns) in fields.items():
        top, bottom, left, right = reached(model, model.stages()[name], shape, place)
        assert (*rows.within(place[0], 40), *columns.within(place[1], 22)) == (top, bottom, left, right), name


def test_max_pooling_and_branches():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(2, 2, 5, padding=2), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            return torch.cat([self.wide(x), self.narrow(x)], 1) + torch.cat([x, x], 1)

    model = Planted([nn.Conv2d(1, 2, 2), nn.MaxPool2d(2), Branches()]).eval()
    rows, columns = receptive_fields(model, model.stages(), (1, 20, 20))["stage3"]
    assert rows == columns == Field(start=-4.0, step=2.0, size=11.0)  # 2×2, doubled by pooling, five of them


def test_what_sees_everything_says_so():
    model = Planted([nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2)]).eval()
    rows, columns = receptive_fields(model, model.stages(), (1, 9, 12))["stage2"]
    assert rows.within(3, 9) == (0, 9)
    assert columns.within(0, 12) == (0, 12)


@pytest.mark.parametrize("name", [*OWN, "timm/convnext_atto", "timm/test_vit2"])
def test_no_gradient_reaches_beyond_the_field(name):
    shape = small(name)
    model = as_after_training(name)
    before = fingerprint(model)
    stages = model.stages()
    fields = receptive_fields(model, stages, shape)
    assert fingerprint(model) == before
    assert list(fields) == list(stages)
    for stage in list(stages)[:3]:
        with torch.no_grad(), outputs_of({stage: stages[stage]}) as outputs:
            model(torch.zeros(1, *shape))
        place = (outputs[stage].shape[2] // 2, outputs[stage].shape[3] // 2)
        top, bottom, left, right = reached(model, stages[stage], shape, place, count=1)
        (first, last), (west, east) = (
            field.within(index, side) for field, index, side in zip(fields[stage], place, shape[1:], strict=True)
        )
        assert first <= top <= bottom <= last, stage
        assert west <= left <= right <= east, stage
