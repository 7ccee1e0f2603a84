"""The chapter on channels and classes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

from striate.data.dataset import label_texts
from striate.evaluation import evaluate
from striate.explain import channels, feature_maps, filters
from striate.explain.chapter import CHAPTERS
from striate.explain.drawing import save_figure
from striate.explain.subject import Subject

from ..contracts.networks import HEAVY, OWN, small
from .planted import fingerprint
from .subjects import untrained

CHANNELS, MAPS, FILTERS = channels.chapter, feature_maps.chapter, filters.chapter


def texts_of(plate) -> list[str]:
    return [text.get_text() for text in plate.figure.axes[0].texts]


def test_only_the_strong_places_around_the_peak_are_kept():
    area = torch.tensor([[0.6, 0.1, 0.7, 0.8], [0.1, 0.0, 0.2, 1.0], [0.9, 0.3, 0.5, 0.1]])
    expected = torch.tensor([[0.0, 0.1, 0.7, 0.8], [0.1, 0.0, 0.2, 1.0], [0.0, 0.3, 0.5, 0.1]])
    assert channels.around_peak(area).equal(expected)


def test_chapters_are_entered_under_their_names():
    assert (CHAPTERS["channels"], CHAPTERS["feature-maps"], CHAPTERS["filters"]) == (CHANNELS, MAPS, FILTERS)


def test_classes_are_shown_with_the_pictures_of_their_highest_logits(digits_subject):
    before = fingerprint(digits_subject.model)
    found = CHANNELS(digits_subject, "quick")
    assert fingerprint(digits_subject.model) == before
    said = texts_of(found.plates[0])
    for label, name in enumerate(digits_subject.classes):
        best = digits_subject.evaluation.logits[:, label].argmax()
        truth = label_texts(digits_subject.pictures.labels[best, None], digits_subject.classes)[0]
        assert name in said
        assert truth in said
    assert len(found.plates) == 3
    assert all(entry["after"] >= entry["before"] for entry in found.values["made"])
    assert {entry["layer"] for entry in found.values["made"]} == {None, *list(digits_subject.model.stages())[-2:]}


@pytest.mark.parametrize(
    ("value", "found", "told"),
    [(128, False, "nothing found"), (128, True, "one even tone"), (None, True, ""), (None, False, "nothing found")],
)
def test_a_made_picture_without_anything_to_see_says_so(value, found, told):
    pictures = torch.arange(3 * 64, dtype=torch.uint8).view(1, 3, 8, 8)
    made = pictures[0] if value is None else torch.full((3, 8, 8), value, dtype=torch.uint8)
    figure = channels.excitation_figure([channels.Row("a", pictures, ["cat"], made=made, found=found)], "Title")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert [text for text in texts if text in ("nothing found", "one even tone")] == [told] * bool(told)


def test_values_name_pictures_that_excite_the_channel_most(digits_subject):
    name = next(iter(digits_subject.model.stages()))
    found = CHANNELS(replace(digits_subject, layer=name), "full")
    inputs = digits_subject.inputs(digits_subject.pictures.images)
    maps = feature_maps.feature_maps(digits_subject.model, inputs, name)[name]
    for shown in found.values[name]["shown"]:
        peaks = maps[:, shown["channel"]].amax((1, 2))
        best = digits_subject.pictures.names.index(shown["pictures"][0])
        assert float(peaks[best]) == pytest.approx(float(peaks.max()), rel=1e-5)


def test_pictures_are_not_made_where_it_would_take_too_long(digits_subject, monkeypatch):
    dear = replace(channels.EXTENTS["quick"], making=1.0)
    monkeypatch.setitem(channels.EXTENTS, "quick", dear)
    found = CHANNELS(digits_subject, "quick")
    assert found.values["made"] == []
    assert "striate explain" in found.text[-1]


@pytest.mark.parametrize("kind", ["one picture", "a class without pictures", "200 classes", "multi-label"])
def test_unusual_subjects(make_spec, monkeypatch, tmp_path, kind):
    monkeypatch.setitem(channels.EXTENTS, "quick", replace(channels.EXTENTS["quick"], steps=2, channels=1, pictures=2))
    classes = {"200 classes": 200}.get(kind, 3)
    names = tuple(
        f"{'$x$ 日本語 ' * (number % 3)}a very long name of a class, number {number}" for number in range(classes)
    )
    spec = make_spec(3, 16, classes).model_copy(update={"classes": names, "multi_label": kind == "multi-label"})
    subject = untrained(spec, count=1 if kind == "one picture" else 6)
    if kind.startswith("a class"):
        subject = measured(subject, torch.where(subject.pictures.labels == 1, 0, subject.pictures.labels))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for chapter in (CHANNELS, MAPS, FILTERS):
            for plate in chapter(subject, "quick").plates:
                save_figure(plate.figure, tmp_path / "figure.png")
                assert plate.caption
                assert plate.alt


def measured(subject: Subject, labels: torch.Tensor) -> Subject:
    pictures = replace(subject.pictures, labels=labels)
    return replace(subject, pictures=pictures, evaluation=evaluate(subject.model, pictures, subject.spec))


@pytest.mark.parametrize(
    "name",
    [*(name for name in OWN if name not in {*HEAVY, "resnet34", "resnet50"}), "timm/test_vit2"],
)
def test_every_network_can_be_looked_at(make_spec, monkeypatch, name):
    monkeypatch.setitem(channels.EXTENTS, "quick", replace(channels.EXTENTS["quick"], steps=2, channels=1, pictures=2))
    _, side, _ = small(name)
    subject = untrained(make_spec(1, max(side, 16), 4), name, count=2)
    before = fingerprint(subject.model)
    for chapter in (CHANNELS, MAPS, FILTERS):
        found = chapter(subject, "quick")
        assert found.text
        assert len({plate.name for plate in found.plates}) == len(found.plates)
    assert fingerprint(subject.model) == before
