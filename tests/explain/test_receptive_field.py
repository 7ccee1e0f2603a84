"""What a value sees: the boxes hold the gradient, and the effective one is the smallest that holds nine tenths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from striate.explain.receptive_field import EFFECTIVE, fields_of_view, gradient_energy, receptive_field_figure
from striate.models.stage_summary import summarize_stages

from ..contracts.networks import every_model, made, pictures_of, small
from ..models.test_summary import Positive


def energy_in(energy: Tensor, box: tuple[float, float, float, float]) -> float:
    left, top, right, bottom = (int(value) for value in box)
    return float(energy[top:bottom, left:right].sum())


@every_model
def test_no_gradient_comes_from_outside_the_box_and_the_network_is_left_alone(name: str) -> None:
    shape = small(name)
    model = made(name).train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    inputs = pictures_of(shape)
    views = fields_of_view(model, inputs, summarize_stages(model, shape))
    energies = gradient_energy(model, inputs)
    assert [view.name for view in views] == list(model.stages())
    for view in views:
        energy = energies[view.name]
        assert energy_in(energy, view.box) == pytest.approx(float(energy.sum()), abs=1e-9)
        assert energy_in(energy, view.effective_box) >= EFFECTIVE - 1e-9 or not energy.any()
        assert view.effective <= max(shape[1:])
    assert model.training
    assert sum(len(module._forward_hooks) for module in model.modules()) == hooks
    assert all(tensor.equal(before[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_effective_square_of_a_mean_is_found_by_hand() -> None:
    # the mean of 10×10 pixels: every square of n×n holds n² / 100 of the gradient, 9×9 too little and 10×10 all
    model = Positive(nn.Sequential(nn.AvgPool2d(10, stride=1)), 1).eval()
    inputs = torch.rand(2, 1, 31, 31)
    (view,) = fields_of_view(model, inputs, summarize_stages(model, (1, 31, 31)))
    assert view.receptive_field == view.effective == 10
    assert view.box == view.effective_box == (11, 11, 21, 21)  # the middle of 22 places is the twelfth


def test_the_effective_square_is_the_smallest_of_all() -> None:
    torch.manual_seed(0)
    model = Positive(nn.Sequential(nn.Conv2d(1, 3, 5), nn.Conv2d(3, 3, 5), nn.MaxPool2d(2)), 3).eval()
    inputs = torch.rand(4, 1, 21, 25)
    views = fields_of_view(model, inputs, summarize_stages(model, (1, 21, 25)))
    for view, energy in zip(views, gradient_energy(model, inputs).values(), strict=True):
        side = int(view.effective) - 1
        windows = energy.unfold(0, side, 1).unfold(1, side, 1).sum((2, 3)) if side else torch.zeros(1)
        assert float(windows.max()) < EFFECTIVE


def test_one_panel_per_stage_with_its_numbers_and_nothing_outside_the_sheet() -> None:
    model = made("fast", (1, 28, 28))
    views = fields_of_view(model, pictures_of((1, 28, 28)), summarize_stages(model, (1, 28, 28)))
    figure = receptive_field_figure(torch.zeros(1, 28, 28, dtype=torch.uint8), views)
    assert len(figure.axes) == len(views) == 3
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert [view.name in texts for view in views] == [True] * 3
    assert "14×14 places, each sees 4 px" in texts
    figure.canvas.draw()
    for axis in figure.axes:
        box = axis.get_tightbbox()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
