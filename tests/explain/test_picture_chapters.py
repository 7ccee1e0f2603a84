"""The chapters embedding, mistakes and robustness of all kinds of subjects: complete, legible, and nothing changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from striate.core.spec import ImageSpec
from striate.evaluation import evaluate
from striate.explain import mistakes, robustness  # noqa: F401 -- enter their chapters
from striate.explain.chapter import CHAPTERS, Chapter, Effort
from striate.explain.embedding import chapter, hidden_values
from striate.explain.subject import Given, Subject
from striate.models.last_layer import inputs_of, last_linear
from striate.runs.model_file import weights_digest

from .subjects import untrained

NAMES = ["embedding", "mistakes", "robustness"]
ODD = (
    "<img src=x onerror=alert(1)>",
    "$x_1$",
    "a name that is much longer than there is room for under a picture",
    "図鑑",
)


def spec(classes: tuple[str, ...] = ODD, **values: object) -> ImageSpec:
    shape = {"channels": 1, "height": 16, "width": 16, "mean": (0.5,), "std": (0.25,)}
    return ImageSpec.model_validate(shape | {"classes": classes} | values)


SUBJECTS = {
    "odd names": lambda: untrained(spec()),
    "many classes": lambda: untrained(spec(tuple(f"class number {n}" for n in range(60)))),
    "several labels": lambda: untrained(spec(multi_label=True)),
    "cropped, not square, in colour": lambda: untrained(
        spec(channels=3, height=20, width=33, crop=(16, 24), mean=(0.5,) * 3, std=(0.25,) * 3, views=2)
    ),
    "one picture": lambda: untrained(spec(), count=1),
    "two pictures": lambda: untrained(spec(), count=2),
    "one class": lambda: untrained(spec(("all",)), count=12),
}


def check(found: Chapter, name: str) -> None:
    assert found.name == name
    assert found.title
    json.dumps(found.values, allow_nan=False)
    names = [plate.name for plate in found.plates]
    assert len(set(names)) == len(names)
    for plate in found.plates:
        assert plate.name.startswith(name)
        assert plate.caption.endswith(".")
        assert plate.alt
        renderer = FigureCanvasAgg(plate.figure).get_renderer()
        plate.figure.draw(renderer)
        texts = [
            text for text in plate.figure.findobj(lambda artist: hasattr(artist, "get_fontsize")) if text.get_text()
        ]
        own = [
            text
            for text in texts
            if (text.get_visible() and text.axes is None) or text in getattr(text.axes, "texts", [])
        ]
        for text in own:
            assert text.get_fontsize() >= 7
            assert not text.get_parse_math() or "$" not in text.get_text()
            box = text.get_window_extent(renderer)
            assert box.x0 >= -2, (plate.name, text)
            assert box.x1 <= plate.figure.bbox.width + 2, (plate.name, text)
    for table in found.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_can_be_written_of_any_subject(name: str, kind: str) -> None:
    check(CHAPTERS[name](SUBJECTS[kind](), "quick"), name)


@pytest.mark.parametrize("effort", ["quick", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_a_trained_network_is_explained_and_left_as_it_is(
    name: str, effort: Effort, digits_subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = replace(chapter.SCOPES["full"], measured=120, iterations=250)  # the whole of it takes seconds
    monkeypatch.setitem(chapter.SCOPES, "full", scope)
    monkeypatch.setitem(robustness.SCOPES, "full", replace(robustness.SCOPES["full"], pictures=40))
    before = weights_digest(digits_subject.model.state_dict())
    check(CHAPTERS[name](digits_subject, effort), name)
    assert weights_digest(digits_subject.model.state_dict()) == before
    for module in digits_subject.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module.training


def test_hidden_values_are_what_the_last_layer_sees(digits_subject: Subject) -> None:
    data = digits_subject.pictures.first(7)
    inputs = digits_subject.inputs(data.images)
    layer = last_linear(digits_subject.model, inputs)
    assert layer is not None
    with torch.no_grad(), inputs_of(digits_subject.model, layer) as seen:
        digits_subject.model(inputs)
    found = hidden_values(digits_subject.model, data, digits_subject.spec)
    torch.testing.assert_close(found, seen[0], rtol=1e-3, atol=1e-4)


def test_a_training_picture_that_is_given_is_its_own_nearest_neighbour(digits_subject: Subject) -> None:
    assert digits_subject.train is not None
    given = Given(digits_subject.train.images[[0, 50]], ["first.png", "other.png"])
    found = CHAPTERS["embedding"](replace(digits_subject, given=given), "full").values["neighbours"]
    assert isinstance(found, list)
    for entry, name, number in zip(found, given.names, [0, 50], strict=True):
        assert isinstance(entry, dict)
        assert entry["picture"] == name
        (best, *_) = entry["nearest"]
        assert best["similarity"] == pytest.approx(1, abs=1e-4)
        assert best["name"] == digits_subject.train.names[number]


def test_without_training_pictures_neighbours_are_other_measured_ones(digits_subject: Subject) -> None:
    alone = replace(digits_subject, train=None)
    found = CHAPTERS["embedding"](alone, "quick").values
    assert "training_pictures" not in found
    assert isinstance(found["neighbours"], list)
    for entry in found["neighbours"]:
        assert isinstance(entry, dict)
        assert entry["picture"] not in [near["name"] for near in entry["nearest"]]


def test_given_pictures_have_their_own_curves(digits_subject: Subject) -> None:
    given = Given(digits_subject.pictures.images[:2], ["a", "b"])
    plates = {
        plate.name: plate for plate in CHAPTERS["robustness"](replace(digits_subject, given=given), "quick").plates
    }
    assert "2 pictures" in plates["robustness-pictures"].alt


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_class_without_pictures_is_no_obstacle() -> None:
    subject = untrained(spec())
    kept = (subject.pictures.labels != 2).nonzero().squeeze(1)
    data = subject.pictures.select(kept)
    without = Subject(subject.model, subject.card, data, evaluate(subject.model, data, subject.spec))
    for name in NAMES:
        check(CHAPTERS[name](without, "quick"), name)


def test_of_training_pictures_labels_are_not_doubted(digits_subject: Subject) -> None:
    assert digits_subject.train is not None
    data = digits_subject.train.first(60)
    result = evaluate(digits_subject.model, data, digits_subject.spec, "train")
    found = CHAPTERS["mistakes"](replace(digits_subject, pictures=data, evaluation=result), "quick")
    assert "doubtful_labels" not in found.values
    assert any("trained on" in text for text in found.text)
