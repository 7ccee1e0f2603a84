"""The network as blocks and bars, and its chapter: figures that add up, texts that do not overlap."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from striate.core import clock
from striate.explain.chapter import CHAPTERS
from striate.explain.cost import cost_figure, measure_cost, milliseconds, short
from striate.explain.network import network_figure
from striate.models.stage_summary import summarize_stages

from ..contracts.networks import as_after_training, every_model, made, pictures_of, small, spec_of_shape
from .subjects import untrained


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for axis in figure.axes for text in [*axis.texts, axis.title] if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text
    return [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.padded(-1).overlaps(b.padded(-1))]


@every_model
def test_every_network_is_drawn_with_a_block_per_stage_and_no_text_over_another(name: str) -> None:
    shape = small(name)
    stages = summarize_stages(made(name), shape)
    figure = network_figure(stages, shape, f"{name}, a $title$ with a formula's signs")
    polygons = [patch for axis in figure.axes for patch in axis.patches if isinstance(patch, Polygon)]
    assert len(polygons) == 3 * len(stages)  # front, roof and flank
    assert overlapping(figure) == []
    texts = [text.get_text() for text in figure.axes[0].texts]
    for stage in stages:
        assert "×".join(map(str, stage.shape)) in texts
        assert short(stage.parameters).strip() in texts


def test_the_picture_is_the_input() -> None:
    picture = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    figure = network_figure(summarize_stages(made("fast", (3, 40, 60)), (3, 40, 60)), (3, 40, 60), "x", picture)
    (shown,) = figure.axes[0].images
    assert (shown.get_array() == picture.permute(1, 2, 0).numpy()).all()


@every_model
def test_costs_are_of_all_stages_and_leave_no_hook(name: str) -> None:
    shape = small(name)
    model = as_after_training(name)
    stages = summarize_stages(model, shape)
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    costs = measure_cost(model, pictures_of(shape), stages, seconds=0)
    assert [cost.name for cost in costs] == [stage.name for stage in stages]
    assert all(cost.seconds >= 0 for cost in costs)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert sum(cost.weight_bytes for cost in costs) == weights
    assert sum(len(module._forward_hooks) for module in model.modules()) == hooks


def test_times_are_medians_of_what_the_clock_said(monkeypatch) -> None:
    model, shape = made("fashion-cnn", (1, 28, 28)), (1, 28, 28)
    stages = summarize_stages(model, shape)
    # five looks per pass: before, after each of three stages, and at the end
    steps = [[1, 2, 3, 4], [1, 2, 3, 4], [9, 9, 9, 9], [1, 2, 3, 4], [2, 2, 2, 2]]
    looks: list[float] = []
    for taken in steps:
        looks += [100.0, *(100.0 + sum(taken[: n + 1]) for n in range(4))]
    monkeypatch.setattr(clock, "now", lambda: looks.pop(0))
    costs = measure_cost(model, torch.zeros(2, *shape), stages, seconds=74)
    assert [cost.seconds for cost in costs] == [1, 2, 3, 4]
    assert looks == []


def test_bars_are_shares() -> None:
    model, shape = made("fast", (1, 28, 28)), (1, 28, 28)
    costs = measure_cost(model, torch.zeros(2, *shape), summarize_stages(model, shape), seconds=0)
    figure = cost_figure(costs, 2, "cpu")
    for axis in figure.axes:
        assert sum(bar.get_width() for bar in axis.patches) == pytest.approx(100)
    widths = [bar.get_width() for bar in figure.axes[3].patches]
    parameters = [cost.weight_bytes for cost in costs]
    assert widths == pytest.approx([100 * p / sum(parameters) for p in parameters])
    assert overlapping(figure) == []


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (999.9, "1 k"), (167_114, "167 k"), (4.09e9, "4.09 G"), (3e12, "3 T")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert short(number).strip() == text


def test_times_are_in_milliseconds() -> None:
    assert [milliseconds(t) for t in (0.0000321, 0.02, 12.3456)] == ["0.0321 ms", "20 ms", "12,346 ms"]


@pytest.mark.parametrize(
    ("shape", "effort"), [((1, 8, 8), "quick"), ((1, 8, 8), "full"), ((3, 40, 56), "full"), ((3, 224, 224), "quick")]
)
def test_the_chapter_of_any_picture_size(shape, effort) -> None:
    subject = untrained(spec_of_shape(shape), count=12)
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    chapter = CHAPTERS["network"](subject, effort)
    assert [plate.name for plate in chapter.plates] == ["network-blocks", "network-receptive-fields", "network-cost"]
    parameters = sum(parameter.numel() for parameter in subject.model.parameters())
    assert chapter.values["parameters"] == parameters
    assert f"{parameters:,}" in chapter.text[0]
    assert len(chapter.tables[0].rows) == len(subject.model.stages()) + 1
    assert all(tensor.equal(before[name]) for name, tensor in subject.model.state_dict().items())
    assert not any(module._forward_hooks for module in subject.model.modules())


def test_the_chapter_of_one_picture() -> None:
    chapter = CHAPTERS["network"](untrained(spec_of_shape((1, 16, 16)), count=1), "quick")
    assert "of the picture: there" in chapter.plates[1].caption
