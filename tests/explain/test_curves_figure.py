"""Figures of learning curves: everything is there and nothing overlaps."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from striate.core.errors import SettingsError
from striate.explain.curves import COLOURS, Curve, curves_figure
from striate.explain.drawing import save_figure

from .run_metrics import TRAIN, VAL, lines


def curve(name: str = "first", data: str = "digits", **changes) -> Curve:
    return Curve(Path(name), name, data, 6, lines(**{"train": TRAIN, "val": VAL, **changes}))


def drawn(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def data_lines(figure: Figure, panel: int) -> list[Line2D]:
    return [line for line in figure.axes[panel].lines if line.get_label()[:1] != "_"]


def marks(figure: Figure, panel: int, marker: str) -> list[tuple[float, float]]:
    return [
        (line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[panel].lines if line.get_marker() == marker
    ]


def legend_texts(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts() if text.get_text()]


def test_lines_are_the_metrics_colour_tells_the_run_and_style_the_part() -> None:
    figure = curves_figure([curve("a"), curve("b", val=[None] * 4)])
    losses, accuracies = data_lines(figure, 0), data_lines(figure, 1)
    assert [line.get_label() for line in accuracies] == ["train a", "val a", "train b"]
    assert [line.get_linestyle() for line in accuracies] == ["--", "-", "--"]
    assert [line.get_color() for line in accuracies] == [COLOURS[0], COLOURS[0], COLOURS[1]]
    assert list(accuracies[1].get_xdata()) == [10, 20, 30, 40]
    assert list(accuracies[0].get_ydata()) == TRAIN
    assert list(accuracies[1].get_ydata()) == VAL
    assert list(losses[1].get_ydata()) == [1.9 - v for v in VAL]
    rates = figure.axes[2].lines
    assert [list(line.get_ydata()) for line in rates] == [[0.1 / epoch for epoch in (1, 2, 3, 4)]] * 2
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Loss", "Accuracy", "Learning rate"]


def test_crossings_and_the_best_epoch_are_marked() -> None:
    figure = curves_figure([curve()], accuracy=0.88)
    assert marks(figure, 1, "D") == [(30, 0.90), (20, 0.92)]
    assert marks(figure, 1, "*") == [(20, 0.92)]
    assert marks(figure, 0, "*") == [(20, pytest.approx(1.9 - 0.92))]
    assert [list(line.get_ydata()) for line in figure.axes[1].lines].count([0.88, 0.88]) == 1
    assert "0.88" in [text.get_text() for text in figure.axes[1].texts]
    assert "first epoch at 0.88 or more (grey line)" in legend_texts(figure)


def test_what_is_not_there_is_not_in_the_legend() -> None:
    figure = curves_figure([curve(val=[None] * 4)], accuracy=0.99)
    assert legend_texts(figure) == ["first", "training, mean of the epoch"]
    assert marks(figure, 1, "D") == marks(figure, 1, "*") == []
    assert "0.99" not in [text.get_text() for text in figure.axes[1].texts], "a level that nobody reached is not drawn"


def test_different_data_are_in_the_legend_the_same_in_the_title() -> None:
    assert legend_texts(curves_figure([curve("a"), curve("b", "mnist")]))[:2] == ["a on digits", "b on mnist"]
    figure = curves_figure([curve("a"), curve("b")])
    assert legend_texts(figure)[:2] == ["a", "b"]
    assert figure.get_suptitle() == "Learning curves on digits"


def test_colours_are_published_ones_and_more_runs_are_refused() -> None:
    okabe_ito = "#000000 #e69f00 #56b4e9 #009e73 #f0e442 #0072b2 #d55e00 #cc79a7"
    assert len(set(COLOURS)) == 7
    assert set(COLOURS) < set(okabe_ito.split())
    with pytest.raises(SettingsError, match="7 runs apart, not 8"):
        curves_figure([curve(str(number)) for number in range(8)])


def test_losses_far_apart_get_a_logarithmic_scale_and_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    far = curve()
    far.metrics[0]["val_loss"] = 16503.4
    far.metrics[1]["val_loss"] = float("inf")
    far.metrics[2]["val_loss"] = float("nan")
    far.metrics[3]["val_loss"] = 0.0
    figure = curves_figure([far])
    assert figure.axes[0].get_yscale() == "log"
    assert curves_figure([curve()]).axes[0].get_yscale() == "linear"
    save_figure(figure, tmp_path / "far.png")


ODD = [
    "plain",
    "a_long_name-of-a-run-that-says-all-its-settings-lr-0.01-momentum-0.95-weight-decay-0.0005-and-more-and-more",
    "$x_1^2$ & {y}",
    "図鑑の写真を分類するための長い名前の実行その一とその二とその三",
    "_begins_with_a_line",
    "<b>markup</b> [red]",
    "odd \udcff byte",
]


def test_every_format_is_written(tmp_path: Path, recwarn) -> None:
    figure = curves_figure([curve(name) for name in ODD])
    for suffix in (".png", ".pdf", ".svg"):
        save_figure(figure, tmp_path / f"x{suffix}")
        assert (tmp_path / f"x{suffix}").stat().st_size > 10_000
    assert not recwarn.list
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == tuple(round(side * 150) for side in figure.get_size_inches())


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("names", [ODD[:1], ODD], ids=["one", "seven"])
def test_nothing_overlaps_or_leaves_the_sheet(names: list[str]) -> None:
    curves = [curve(name, f"data {number}", steps=10 * number + 10) for number, name in enumerate(names)]
    figure = curves_figure(curves, accuracy=0.9)
    renderer = drawn(figure).get_renderer()
    boxes = [
        figure._suptitle.get_window_extent(renderer),
        figure.legends[0].get_window_extent(renderer),
        *(axis.get_tightbbox(renderer) for axis in figure.axes),
    ]
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
    texts = [text.get_window_extent(renderer) for text in figure.legends[0].get_texts() if text.get_text()]
    assert not any(one.overlaps(other) for one, other in combinations(texts, 2))
    assert len(legend_texts(figure)) == len(names) + 4, "no name is left out"
