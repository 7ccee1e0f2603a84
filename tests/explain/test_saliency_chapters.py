"""The chapters: what they say of trained and untrained networks, and figures in which nothing overlaps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from striate.core.errors import SettingsError
from striate.explain.chapter import CHAPTERS
from striate.explain.saliency.chapter import saliency_chapter
from striate.explain.saliency.depth import DEPTHS, depth_for
from striate.explain.saliency.overlay import overlay
from striate.explain.saliency.randomise import randomised
from striate.explain.saliency.shortcut_chapter import shortcut_chapter
from striate.explain.subject import Given

from .subjects import untrained


def texts_of(figure: Figure) -> list:
    return [text for text in [*figure.texts, *(t for axis in figure.axes for t in axis.texts)] if text.get_text()]


def assert_legible(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = texts_of(figure)
    assert all(text.get_fontsize() >= 7 for text in texts)
    boxes = [text.get_window_extent(renderer) for text in texts]
    boxes += [axis.title.get_window_extent(renderer) for axis in figure.axes if axis.get_title()]
    for box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_digits_are_explained_with_grades(digits_subject):
    before = {name: tensor.clone() for name, tensor in digits_subject.model.state_dict().items()}
    random = torch.get_rng_state()
    chapter = CHAPTERS["saliency"](digits_subject, "quick")
    assert random.equal(torch.get_rng_state())
    assert all(before[name].equal(tensor) for name, tensor in digits_subject.model.state_dict().items())
    assert not any(module._forward_hooks for module in digits_subject.model.modules())
    (plate,) = chapter.plates
    assert_legible(plate.figure)
    assert json.loads(json.dumps(chapter.values)) == chapter.values
    words = [one["grade"] for method in chapter.values["methods"].values() for one in method["maps"]]
    assert {"good"} < set(words) <= {"good", "weak", "fails"}
    assert not any("no better" in sentence for sentence in chapter.warnings)
    shown = {text.get_text() for text in texts_of(plate.figure)}
    assert any("true: " in text for text in shown)
    assert "✓ good" in shown


def test_a_randomised_network_fails_in_every_map_and_the_reader_is_warned(digits_subject):
    from striate.evaluation import evaluate

    model = randomised(digits_subject.model, 5)
    result = evaluate(model, digits_subject.pictures, digits_subject.spec)
    chapter = saliency_chapter(replace(digits_subject, model=model, evaluation=result), "quick")
    words = {one["grade"] for method in chapter.values["methods"].values() for one in method["maps"]}
    assert words == {"fails"}
    assert any("no better" in sentence for sentence in chapter.warnings)


def test_given_pictures_are_explained_in_place_of_examples(digits_subject):
    images = digits_subject.pictures.images[:30]
    given = Given(images, [f"<b>{number}$x$</b>.png" for number in range(30)])
    chapter = saliency_chapter(replace(digits_subject, given=given), "quick")
    assert len(chapter.values["pictures"]) == 24
    assert len(chapter.plates) == 4
    assert "24 of 30 pictures" in chapter.warnings[-1]
    assert_legible(chapter.plates[3].figure)
    shown = {text.get_text() for text in texts_of(chapter.plates[0].figure)}
    assert "<b>0$x$</b>.png" in shown
    assert not any("true:" in text for text in shown)


def test_the_users_layer_is_obeyed_and_refused_where_it_has_no_maps(digits_subject):
    chapter = saliency_chapter(replace(digits_subject, layer="stage2"), "quick")
    assert chapter.values["methods"]["grad-cam"]["layer"] == "stage2"
    with pytest.raises(SettingsError, match="no maps"):
        saliency_chapter(replace(digits_subject, layer="classifier"), "quick")


@pytest.mark.parametrize(
    ("change", "effort"),
    [("colour", "quick"), ("many", "quick"), ("multi-label", "quick"), ("wide", "quick"), ("tiny", "full")],
)
def test_every_kind_of_subject_gets_both_chapters(make_spec, change, effort):
    spec = {
        "colour": lambda: make_spec(channels=3, side=32, classes=2),
        "many": lambda: make_spec(classes=40).model_copy(
            update={"classes": tuple(f"Ñame <img src=x onerror=alert(1)> $a_{n}$ and a long tail" for n in range(40))}
        ),
        "multi-label": lambda: make_spec(classes=3).model_copy(update={"multi_label": True}),
        "wide": lambda: make_spec().model_copy(update={"height": 12, "width": 40}),
        "tiny": lambda: make_spec(side=8, classes=3),
    }[change]()
    subject = untrained(spec)
    for name in ("saliency", "shortcuts"):
        chapter = CHAPTERS[name](subject, effort)
        assert chapter.text
        assert json.dumps(chapter.values)
        for plate in chapter.plates:
            assert_legible(plate.figure)
    words = {one["grade"] for m in saliency_chapter(subject, "quick").values["methods"].values() for one in m["maps"]}
    assert words == {"fails"}


def test_without_right_answers_of_two_kinds_shortcuts_cannot_be_looked_for(make_spec):
    chapter = shortcut_chapter(untrained(make_spec(classes=3), count=6), "full")
    assert chapter.values == {"tried": False, "alarms": []}
    assert "12 or more" in chapter.text[0]


def test_the_dearer_the_network_the_less_is_looked_at_and_never_nothing():
    seen = [depth_for(passes, "full", None) for passes in (10**6, 3000, 1000, 300, 20, 0)]
    costs = [depth.passes * count for depth, count in seen]
    assert costs == sorted(costs, reverse=True)
    assert seen[0] == (DEPTHS[0], 6)
    assert seen[-1] == (DEPTHS[-1], 1)
    assert depth_for(10**9, "quick", 100)[1] == 24


def test_an_overlay_is_brightest_where_the_map_is_and_shows_the_picture_through():
    values = torch.zeros(8, 8)
    values[2:4, 2:4] = 1
    values[6, 6] = -5
    picture = torch.zeros(3, 8, 8)
    shown = overlay(picture, values)
    assert shown.shape == (8, 8, 3)
    assert shown[2, 2].sum() > shown[0, 0].sum() == shown[6, 6].sum()
    picture[:, 0, 0] = 255
    assert overlay(picture, values)[0, 0].sum() > shown[0, 0].sum()
