"""The reliability diagram shows the bins as they are, before and after, and nothing is cut off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from striate.evaluation import Evaluation
from striate.evaluation.calibration import Calibration
from striate.evaluation.evaluate import from_logits
from striate.explain.reliability import reliability_figure


def evaluation(calibration: Calibration | None, held_out: bool = True, multi_label: bool = False) -> Evaluation:
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(0, 2, (400, 3)), dtype=torch.float32)
    labels = (
        torch.tensor(rng.random((400, 3)) < 0.5)
        if multi_label
        else logits.argmax(1).where(torch.tensor(rng.random(400) < 0.7), torch.zeros(400, dtype=torch.int64))
    )
    return from_logits(logits, labels, ("a", "b", "c"), "test", calibration, held_out)


FITTED = Calibration(temperature=1.6, count=100, fingerprint="f")


def drawn(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


@pytest.mark.parametrize("multi_label", [False, True])
def test_every_bin_stands_at_its_mean_probability_and_share_of_right_answers(multi_label: bool) -> None:
    result = evaluation(FITTED, multi_label=multi_label)
    shares = reliability_figure(result).axes[0]
    (marks,) = (c for c in shares.containers if "calibrated" in c.get_label())
    x, y = marks.lines[0].get_data()
    p = result.probabilities.double().numpy()
    truth = result.labels.numpy()
    if multi_label:
        confidences, right = np.maximum(p, 1 - p).ravel(), ((p >= 0.5) == truth).ravel()
    else:
        confidences, right = p.max(1), p.argmax(1) == truth
    bins = np.ceil(confidences * 15 - 1e-9).astype(int)
    expected = [(confidences[bins == b].mean(), right[bins == b].mean()) for b in np.unique(bins)]
    np.testing.assert_allclose(np.column_stack([x, y]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("calibration", "held_out", "told"),
    [
        (None, True, ["as the network gives them"]),
        (FITTED, True, ["as the network gives them", "calibrated, temperature 1.6"]),
        (FITTED, False, ["as the network gives them", "calibrated, each by a temperature from others"]),
    ],
)
def test_the_legend_says_what_is_drawn_with_its_error(calibration, held_out, told) -> None:
    result = evaluation(calibration, held_out)
    figure = reliability_figure(result)
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert [text.splitlines()[0] for text in texts] == told
    figures = [result.before, result.after][: len(told)]
    assert all(f"{one.ece:.4f}" in text for one, text in zip(figures, texts, strict=True))


def test_nothing_lies_beyond_the_edge_or_over_something_else() -> None:
    figure = reliability_figure(evaluation(FITTED))
    canvas = drawn(figure)
    renderer = canvas.get_renderer()
    boxes = [figure.legends[0].get_window_extent(renderer), *(a.get_tightbbox(renderer) for a in figure.axes)]
    boxes.append(figure._suptitle.get_window_extent(renderer))
    for box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert not box.overlaps(other)


@pytest.mark.parametrize("count", [12, 400])
def test_numbers_of_answers_are_whole(count: int) -> None:
    whole = evaluation(None)
    result = from_logits(whole.logits[:count], whole.labels[:count], ("a", "b", "c"), "test")
    figure = reliability_figure(result)
    drawn(figure)
    texts = [*figure.axes[1].get_yticklabels(), *figure.axes[1].get_yticklabels(minor=True)]
    assert all(float(text.get_text().replace(",", "") or 0) % 1 == 0 for text in texts if text.get_position()[1] >= 1)
    assert not any("10^" in text.get_text() for text in texts)
    bins = figure.axes[1].patches[0].get_data().values
    assert float(np.asarray(bins).max()) <= count
