"""The figure of accuracy over time: what was measured is drawn, and no name covers another or a point."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from benchmarks import contest, figure
from benchmarks.course import PROGRAMS, Point
from benchmarks.figure import LOOKS, OURS, course_figure

STRIATE = {
    "no option": (88.0, 0.922),
    "20 s": (19.5, 0.89),
    "1 min": (59.0, 0.917),
    "2 min": (118.0, 0.926),
    "5 min": (293.0, 0.935),
}


def rising(start: float, epoch: float, top: float) -> list[Point]:
    """Return 15 epochs of an accuracy that comes near `top`."""
    return [(start + epoch * number, top - 0.1 * 0.7**number) for number in range(1, 16)]


APART = {"document": rising(6, 27, 0.907), "Keras": rising(17, 21, 0.91), "fastai": rising(16, 16, 0.908)}
TOGETHER = {name: rising(10, 20, 0.935) for name in PROGRAMS}
SLOW = {name: rising(40, 70 + 10 * number, 0.91) for number, name in enumerate(PROGRAMS)}


def drawn(made: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(made)
    canvas.draw()
    return canvas


def words(made: Figure) -> dict[str, Bbox]:
    """Return the boxes of everything that is written inside and beside the axes, by its text."""
    renderer = drawn(made).get_renderer()
    (axis,) = made.axes
    low, high = axis.get_xlim()
    ticks = [text for place, text in zip(axis.get_xticks(), axis.get_xticklabels(), strict=True) if low < place < high]
    written = [*axis.texts, axis.xaxis.label]
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in written}
    return boxes | {f"tick {text.get_text()}": text.get_window_extent(renderer) for text in ticks}


def test_lines_are_what_was_measured_and_runs_are_joined_by_their_time() -> None:
    (axis,) = course_figure(APART, STRIATE).axes
    lines = {line.get_color(): line for line in axis.lines if line.get_linestyle() == "-"}
    for name, points in APART.items():
        line = lines[LOOKS[name][0]]
        assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == points
        assert line.get_marker() == LOOKS[name][1]
    assert list(lines[LOOKS[OURS][0]].get_xdata()) == [19.5, 59.0, 118.0, 293.0], "not the run without a budget"
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert [tuple(line.get_xydata()[0]) for line in hollow] == [STRIATE["no option"]]
    assert axis.get_xscale() == "log"


@pytest.mark.parametrize("courses", [APART, TOGETHER, SLOW, {"document": APART["document"]}])
def test_no_words_cover_each_other_or_leave_the_sheet(courses) -> None:
    made = course_figure(courses, STRIATE)
    boxes = words(made)
    assert {"Striate", *STRIATE} < set(boxes)
    for (one, box), (other, another) in combinations(boxes.items(), 2):
        assert not box.overlaps(another), (one, other)
    sheet = made.bbox
    assert all(sheet.x0 <= b.x0 and b.x1 <= sheet.x1 and sheet.y0 <= b.y0 and b.y1 <= sheet.y1 for b in boxes.values())


def test_names_of_runs_cover_no_point() -> None:
    made = course_figure(APART, STRIATE)
    boxes = words(made)
    (axis,) = made.axes
    points = [point for of_it in (*APART.values(), STRIATE.values()) for point in of_it]
    for place in axis.transData.transform(points):
        assert not any(boxes[setting].contains(*place) for setting in STRIATE)


def test_everybody_can_tell_the_lines_apart() -> None:
    assert {OURS, *PROGRAMS} == set(LOOKS)
    assert len({mark for _, mark in LOOKS.values()}) == len({colour for colour, _ in LOOKS.values()}) == len(LOOKS)


def test_without_a_budget_the_one_run_has_its_name() -> None:
    assert "Striate" in words(course_figure(APART, {"no option": STRIATE["no option"]}))


def test_what_is_kept_is_drawn_at_twice_the_size_of_a_page(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(figure, "IMAGE", tmp_path / "accuracy-time.png")
    figure.main()
    assert "accuracy-time.png is left out" in capsys.readouterr().err
    assert not (tmp_path / "accuracy-time.png").exists()
    runs = {setting: [{"wall_s": s, "test_accuracy": a}] for setting, (s, a) in STRIATE.items()}
    measured = {"courses": {name: [points] for name, points in APART.items()}, "striate": {**runs, "10 min": []}}
    (tmp_path / "course.json").write_text(json.dumps({"contests": {"fashion-mnist": measured}}))
    figure.main()
    with Image.open(tmp_path / "accuracy-time.png") as image:
        assert image.width == 1600
