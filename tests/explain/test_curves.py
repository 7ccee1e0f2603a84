"""Learning curves: numbers worked out by hand, and figures in which everything is there and nothing overlaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

import striate
from striate.cli.main import main
from striate.core.errors import ModelFileError, SettingsError
from striate.core.settings import TrainSettings
from striate.explain.curves import COLOURS, Curve, Point, best_epoch, curves_figure, read_curves, steps_to, tell_apart
from striate.explain.drawing import save_figure
from striate.models import Architecture
from striate.runs.folder import Run, RunConfig

TRAIN, VAL = [0.50, 0.85, 0.90, 0.95], [0.60, 0.92, 0.89, 0.92]


def lines(train: list[float], val: list[float | None], steps: int = 10, lr: float = 0.1) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "step": epoch * steps,
            "lr": lr / epoch,
            "train_loss": 2.0 - t,
            "train_accuracy": t,
            "val_loss": None if v is None else 1.9 - v,
            "val_accuracy": v,
            "seconds": 1.25,
            "images_per_second": 1000.0,
        }
        for epoch, (t, v) in enumerate(zip(train, val, strict=True), start=1)
    ]


def curve(name: str = "first", data: str = "digits", **changes) -> Curve:
    return Curve(Path(name), name, data, 6, lines(**{"train": TRAIN, "val": VAL, **changes}))


@pytest.fixture
def make_run(make_spec, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a run folder of six epochs with these metrics."""

    def make(name: str, metrics: list[dict], data: str = "digits") -> Path:
        settings = {"epochs": 6, "lr": 0.1, "batch_size": 8, "model": "fast"}
        config = RunConfig(
            striate="0",
            data=data,
            fingerprint="f",
            settings=TrainSettings.parse(settings),
            architecture=Architecture(name="fast"),
            spec=make_spec(),
        )
        place = tmp_path / name
        run = Run.create(place.parent, place.name, "x", config, {})
        for line in metrics:
            run.append_metrics(line)
        run.release()
        return run.path

    return make


# numbers


def test_steps_to_an_accuracy() -> None:
    metrics = lines(TRAIN, VAL)
    assert steps_to(metrics, 0.9) == Point(epoch=2, step=20)
    assert steps_to(metrics, 0.9, "train_accuracy") == Point(epoch=3, step=30), "reached is enough"
    assert steps_to(metrics, 0.5, "train_accuracy") == Point(epoch=1, step=10)
    assert steps_to(metrics, 0.96) is None
    assert steps_to([], 0.1) is None
    assert steps_to(lines(TRAIN, [None] * 4), 0.1) is None
    assert steps_to(lines(TRAIN, [None, 0.3, None, 0.95]), 0.9) == Point(epoch=4, step=40)


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch(lines(TRAIN, VAL)) == Point(epoch=2, step=20)
    assert best_epoch(lines(TRAIN, [None, None, 0.1, None])) == Point(epoch=3, step=30)
    assert best_epoch(lines(TRAIN, [None] * 4)) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 1))
def test_no_epoch_before_had_the_accuracy(values: list[float], accuracy: float) -> None:
    point = steps_to(lines(values, list(values)), accuracy)
    before = values if point is None else values[: point.epoch - 1]
    assert all(value < accuracy for value in before)
    assert point is None or values[point.epoch - 1] >= accuracy


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x/r", "/a/y/r", "/a/y/s"], ["x/r", "y/r", "s"]),
        (["/a/b/r", "/c/b/r"], ["a/b/r", "c/b/r"]),
        (["digits", "digits"], ["digits", "digits"]),
        (["cifar10:cat,dog", "/p/photos", "/q/photos"], ["cifar10:cat,dog", "p/photos", "q/photos"]),
        (["/r", "/a/r"], ["/r", "a/r"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(paths: list[str], names: list[str]) -> None:
    assert tell_apart([Path(path) for path in paths]) == names


# reading


def test_runs_are_read_whether_finished_or_not(make_run, monkeypatch, tmp_path: Path) -> None:
    first, second = make_run("one/r", lines(TRAIN, VAL)), make_run("two/r", lines(TRAIN[:1], [None]), "mnist")
    with open(second / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "st')  # as while the line is being written
    monkeypatch.chdir(tmp_path)
    curves = read_curves([first, second, Path("one/r")])
    assert [(c.name, c.data, c.epochs, len(c.metrics)) for c in curves] == [
        ("one/r", "digits", 6, 4),
        ("two/r", "mnist", 6, 1),
    ]
    assert curves[0].seconds == 5.0


def test_what_cannot_be_read_is_told(make_run, tmp_path: Path) -> None:
    good, empty = make_run("good", lines(TRAIN, VAL)), make_run("empty", [])
    with pytest.raises(SettingsError, match=r"no epoch of this run is done yet.*empty"):
        read_curves([good, empty])
    with pytest.raises(SettingsError, match="not a run folder"):
        read_curves([tmp_path])
    other = make_run("other", [{"epoch": 1, "step": 3}])
    with pytest.raises(ModelFileError, match=r"no lr, train_loss.*other"):
        read_curves([other])


# figures


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
    assert "first epoch at 0.88 or more" in legend_texts(figure)


def test_what_is_not_there_is_not_in_the_legend() -> None:
    figure = curves_figure([curve(val=[None] * 4)], accuracy=0.99)
    assert legend_texts(figure) == ["first", "training, mean of the epoch"]
    assert marks(figure, 1, "D") == marks(figure, 1, "*") == []


def test_different_data_are_in_the_legend_the_same_in_the_title() -> None:
    assert legend_texts(curves_figure([curve("a"), curve("b", "mnist")]))[:2] == ["a on digits", "b on mnist"]
    figure = curves_figure([curve("a"), curve("b")])
    assert legend_texts(figure)[:2] == ["a", "b"]
    assert figure.get_suptitle() == "Learning curves on digits"


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


def test_colours_are_published_ones_and_more_runs_are_refused() -> None:
    okabe_ito = "#000000 #e69f00 #56b4e9 #009e73 #f0e442 #0072b2 #d55e00 #cc79a7"
    assert len(set(COLOURS)) == 7
    assert set(COLOURS) < set(okabe_ito.split())
    with pytest.raises(SettingsError, match="7 runs apart, not 8"):
        curves_figure([curve(str(number)) for number in range(8)])


# the command


def test_the_table_and_json_say_when_the_accuracy_was_reached(make_run, tmp_path: Path, capsys) -> None:
    first = make_run("first", lines(TRAIN, VAL))
    second = make_run("second", lines([0.2], [None], steps=1500))
    figure = tmp_path / "curves.svg"
    assert main(["curves", str(first), str(second), "--figure", str(figure)]) == 0
    head, one, two, written = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "run"
    assert "train ≥ 0.9" in head
    assert [cell.strip() for cell in one.split("  ") if cell] == [
        "first",
        "digits",
        "4/6",
        "epoch 3, step 30",
        "epoch 2, step 20",
        "0.9200 (epoch 2)",
        "0.9200",
        "5.0 s",
    ]
    assert [cell.strip() for cell in two.split("  ") if cell][2:] == [
        "1/6",
        "not reached",
        "not measured",
        "not measured",
        "not measured",
        "1.2 s",
    ]
    assert str(figure) in written
    assert b"</svg>" in figure.read_bytes()

    assert main(["curves", str(first), str(second), "--accuracy", "0.95", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == 0.95
    assert result["runs"][0] == {
        "run": str(first),
        "name": "first",
        "data": "digits",
        "epochs": 4,
        "of_epochs": 6,
        "steps": 40,
        "train_reached": {"epoch": 4, "step": 40},
        "val_reached": None,
        "best_val": {"epoch": 2, "step": 20, "accuracy": 0.92},
        "last_val_accuracy": 0.92,
        "seconds": 5.0,
    }
    assert result["runs"][1]["best_val"] is None


def test_what_a_trained_run_wrote_is_read(tmp_path: Path, capsys) -> None:
    run = striate.train("digits", out=tmp_path, epochs=2, first=200, precision="fp32", device="cpu")
    assert main(["curves", str(run.path), "--json", "--accuracy", "0.01"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    last = run.metrics()[-1]
    assert (row["epochs"], row["steps"], row["last_val_accuracy"]) == (2, last["step"], last["val_accuracy"])
    assert row["train_reached"] == {"epoch": 1, "step": last["step"] // 2}


@pytest.mark.parametrize("accuracy", ["0", "1.01", "-0.5", "nan", "90", "high"])
def test_an_accuracy_that_is_none_is_refused(make_run, accuracy: str, capsys) -> None:
    assert main(["curves", str(make_run("r", lines(TRAIN, VAL))), "--accuracy", accuracy]) == 2
    assert "accuracy" in capsys.readouterr().err


def test_mistakes_leave_no_file(make_run, tmp_path: Path, capsys) -> None:
    run, figure = make_run("r", lines(TRAIN, VAL)), tmp_path / "x.png"
    assert main(["curves", str(tmp_path), "--figure", str(figure)]) == 2
    assert main(["curves", "--figure", str(figure)]) == 2
    assert main(["curves", str(run), "--figure", str(tmp_path / "x.gif")]) == 2
    assert not figure.exists()
    figure.write_text("mine")
    assert main(["curves", str(run), "--figure", str(figure)]) == 2
    assert figure.read_text() == "mine"
