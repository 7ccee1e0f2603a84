"""Grids of predictions and mistakes: every picture with what is said of it, nothing overlapping or cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from striate.core.errors import DataError
from striate.data.dataset import ImageDataset
from striate.evaluation import Evaluation
from striate.evaluation.evaluate import from_logits
from striate.explain.drawing import save_figure
from striate.explain.predictions import mistakes, mistakes_grid, prediction_grid

CLASSES = (
    "cat",
    "a golden retriever of a kind whose name has no end that anybody has seen",
    "$x_1^2$ & _y_",
    "<b>markup</b> [red]",
    "図鑑の写真を分類するための長い長い名前",
    "odd \udcff byte",
)
LOGITS = torch.tensor(
    [[3.0, 0, 0], [0, 1, 0], [0, 0, 2], [0, 4, 0], [1, 0, 0], [0, 1, 0]]
)  # classes 0 1 2 1 0 1, the confidence grows with the number
LABELS = torch.tensor([0, 2, 0, 2, 0, 0])  # wrong: 1, 2, 3 and 5; 1 and 5 are equally confident


@pytest.fixture
def evaluation() -> Evaluation:
    return from_logits(LOGITS, LABELS, ("a", "b", "c"), "test")


def pictures(count: int, channels: int = 1, height: int = 8, width: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def data(count: int = 6) -> ImageDataset:
    return ImageDataset(pictures(count), LABELS[:count], ("a", "b", "c"), [str(i) for i in range(count)])


def said(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def shown(axis: Axes) -> np.ndarray:
    (image,) = axis.images
    return np.asarray(image.get_array())


def test_mistakes_come_with_the_most_confident_first(evaluation: Evaluation) -> None:
    assert mistakes(evaluation).tolist() == [3, 2, 1, 5]
    assert mistakes(from_logits(LOGITS, LOGITS.argmax(1), ("a", "b", "c"), "test")).tolist() == []


def test_the_mistakes_are_drawn_in_that_order(evaluation: Evaluation) -> None:
    figure = mistakes_grid(evaluation, data())
    title = figure.texts[0].get_text().replace("\n", " ")
    assert title == "4 mistakes among 6 pictures of the test part, the most confident first"
    assert len(figure.axes) == 4
    for axis, number in zip(figure.axes, [3, 2, 1, 5], strict=True):
        assert np.array_equal(shown(axis), data().images[number, 0].numpy())
    share = 100 * np.exp(4) / (np.exp(4) + 2)
    assert said(figure.axes[0]) == [f"✗ b  {share:.1f} %", "true: c"]
    cut = mistakes_grid(evaluation, data(), count=2)
    assert len(cut.axes) == 2
    assert "the 2 most confident" in cut.texts[0].get_text().replace("\n", " ")


def test_no_mistakes_are_a_figure_that_says_so(tmp_path: Path) -> None:
    figure = mistakes_grid(from_logits(LOGITS, LOGITS.argmax(1), ("a", "b", "c"), "all"), data())
    assert figure.texts[0].get_text() == "No mistakes: all 6 pictures are classified rightly"
    assert figure.axes == []
    save_figure(figure, tmp_path / "none.png")


def test_a_mistake_is_what_the_evaluation_says_where_probabilities_are_equal() -> None:
    logits = torch.tensor([[1.0, 1.0 + 2e-7]])  # class 1, with probabilities that are equal as printed
    result = from_logits(logits, torch.tensor([0]), ("a", "b"), "test")
    figure = mistakes_grid(result, ImageDataset(pictures(1), torch.tensor([0]), ("a", "b"), ["x"]))
    assert said(figure.axes[0]) == ["✗ b  50.0 %", "true: a"]


def test_right_wrong_and_unknown_differ_in_sign_and_frame() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2]])
    figure = prediction_grid(pictures(2), torch.tensor([0, 1]), probabilities, ("cat", "dog"))
    right, wrong = figure.axes
    assert said(right) == ["✓ cat  90.0 %", "true: cat"]
    assert said(wrong) == ["✗ cat  80.0 %", "true: dog"]
    frames = [axis.patches[0] for axis in (right, wrong)]
    assert [frame.get_linestyle() for frame in frames] == ["solid", "dashed"]
    assert frames[0].get_linewidth() < frames[1].get_linewidth()
    assert frames[0].get_edgecolor() != frames[1].get_edgecolor()
    (unknown,) = prediction_grid(pictures(1), None, probabilities[:1], ("cat", "dog"), names=["x/cat.png"]).axes
    assert said(unknown) == ["cat  90.0 %", "x/cat.png"]


def test_of_a_long_name_the_end_is_shown() -> None:
    names = ["a/very/long/path/to/pictures/IMG_0123.jpg"]
    (axis,) = prediction_grid(pictures(1), None, torch.tensor([[1.0]]), ("a",), names=names).axes
    name = said(axis)[-1]
    assert name[0] == "…"
    assert names[0].endswith(name[1:])
    assert "0123.jpg" in name


def test_a_name_from_right_to_left_leaves_the_lines_their_order() -> None:
    figure = prediction_grid(pictures(1), torch.tensor([1]), torch.tensor([[0.9, 0.1]]), ["חתול", "قطة"])
    assert said(figure.axes[0]) == ["✗ \u2068חתול\u2069  90.0 %", "true: \u2068قطة\u2069"]


def test_colour_pictures_are_shown_as_they_are() -> None:
    images = pictures(2, channels=3, height=6, width=9)
    figure = prediction_grid(images, None, torch.ones(2, 1), ("a",))
    assert np.array_equal(shown(figure.axes[1]), images[1].permute(1, 2, 0).numpy())


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 8, 8), (5, 8, 8), (9, 24, 8), (9, 8, 24), (64, 8, 8)], ids=str
)
def test_nothing_overlaps_or_leaves_the_sheet(count: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.rand(count, len(CLASSES), generator=generator).softmax(1)
    labels = torch.randint(0, len(CLASSES), (count,), generator=generator)
    names = [f"some/long/path/of/a/picture/number/{number}.png" for number in range(count)]
    figure = prediction_grid(pictures(count, 1, height, width), labels, probabilities, CLASSES, names=names)
    assert len(figure.axes) == count
    assert figure.get_size_inches()[0] <= 9.5
    boxes = [*text_boxes(figure), *(axis.get_window_extent() for axis in figure.axes)]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
    edges = np.stack([box.padded(-1).extents for box in boxes])
    low, high = edges[:, :2], edges[:, 2:]
    meet = (low[:, None] < high).all(2) & (high[:, None] > low).all(2)
    assert not np.triu(meet, 1).any()


def text_boxes(figure: Figure) -> list:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [*figure.texts, *(text for axis in figure.axes for text in axis.texts)]
    return [text.get_window_extent(canvas.get_renderer()) for text in texts]


def test_more_than_64_are_left_out_and_the_title_says_so() -> None:
    figure = prediction_grid(pictures(70), None, torch.ones(70, 1), ("a",))
    assert len(figure.axes) == 64
    assert figure.texts[0].get_text() == "Predictions, the first 64 of 70"


def test_every_format_is_written(tmp_path: Path, recwarn) -> None:
    count = len(CLASSES)
    figure = prediction_grid(pictures(count, 3), torch.arange(count).flip(0), torch.eye(count), CLASSES)
    for suffix in (".png", ".pdf", ".svg"):
        save_figure(figure, tmp_path / f"x{suffix}")
        assert (tmp_path / f"x{suffix}").stat().st_size > 10_000
    assert not recwarn.list
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == tuple(int(150 * side) for side in figure.get_size_inches())


@pytest.mark.parametrize(
    ("count", "labels", "probabilities", "message"),
    [
        (0, 0, (0, 2), "no picture to draw"),
        (2, 3, (2, 2), "different number"),
        (2, 2, (3, 2), "different number"),
        (2, 2, (2, 3), "3 probabilities per picture for 2 classes"),
    ],
)
def test_what_does_not_belong_together_is_refused(count, labels, probabilities, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prediction_grid(pictures(count), torch.zeros(labels, dtype=torch.long), torch.ones(probabilities), ("a", "b"))
