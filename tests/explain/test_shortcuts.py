"""Planted shortcuts raise the alarm and clean data do not; regions, pairs and the test by hand and by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binom
from torch import Tensor, nn

import striate
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset
from striate.data.sources import open_data
from striate.evaluation import evaluate
from striate.explain.saliency.alarm import FALSE_ALARMS, Alarm, alarms, at_least
from striate.explain.saliency.class_maps import class_maps
from striate.explain.saliency.maps import Maps
from striate.explain.saliency.shortcut_chapter import shortcut_chapter
from striate.explain.saliency.transplant import Outcome, pairs, regions, transplants
from striate.explain.subject import Subject
from striate.models import Classifier
from striate.runs.model_file import load_model


@given(st.integers(2, 60), st.integers(2, 60))
def test_corners_and_edges_are_apart_and_the_border_goes_round(height, width):
    *parts, border = regions(height, width)
    assert sum(part.mask.int() for part in parts).max() == 1
    assert sum("corner" in part.name for part in parts) == 4
    assert border.mask[0].all()
    assert border.mask[:, 0].all()
    assert border.mask[-1].all()
    assert border.mask[:, -1].all()
    assert (border.mask ^ border.middle).all()
    for part in parts:
        assert part.mask.sum() == part.middle.sum()
        assert part.mask.any()


@given(st.lists(st.integers(0, 3), min_size=0, max_size=30), st.integers(1, 40))
def test_pairs_are_of_different_answers_and_nobody_receives_twice(labels, count):
    answers = torch.nn.functional.one_hot(torch.tensor(labels, dtype=torch.int64), 4).bool()
    receivers, givers = pairs(answers, count)
    assert len(receivers) == len(givers) <= count
    assert len(set(receivers.tolist())) == len(receivers)
    assert not (answers[receivers] == answers[givers]).all(1).any()
    if len(set(labels)) > 1:
        assert len(receivers) == min(count, len(labels))
    else:
        assert len(receivers) == 0


class Corner(Classifier):
    """Says the class by the level of the top left pixel, or by that of the middle."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.stage = nn.Identity()
        self.place = (row, column)
        self.zero = nn.Parameter(torch.zeros(()))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.stage(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        level = features[:, 0, self.place[0], self.place[1]]
        return -(level[:, None] - torch.arange(3)).square() + self.zero

    def stages(self) -> dict[str, nn.Module]:
        return {"stage": self.stage}

    def replace_head(self, classes: int) -> None:
        raise NotImplementedError


def test_answers_follow_the_region_that_decides_and_no_other():
    labels = torch.arange(60) % 3
    inputs = labels[:, None, None, None].float().expand(60, 1, 20, 20).contiguous()
    answers = torch.nn.functional.one_hot(labels, 3).bool()
    places = regions(20, 20)
    for (row, column), deciding in (((0, 0), {"top left corner", "border"}), ((0, 10), {"top edge", "border"})):
        found = transplants(Corner(row, column), inputs, answers, places, 60)
        for one in found:
            assert one.tried.tolist() == one.had.tolist() == [20, 20, 20]
            expected = 20 if one.region.name in deciding else 0
            assert one.followed.tolist() == one.lost.tolist() == [expected] * 3
            assert one.lost_with_middle.tolist() == [0] * 3
        assert {alarm.region for alarm in alarms(found)} == deciding
    found = transplants(Corner(10, 10), inputs, answers, places, 60)
    assert alarms(found) == []
    assert all(one.lost_with_middle.sum() == 60 for one in found)


def outcomes(followed: int, lost: int, middle: int, other_corners: int = 0) -> list[Outcome]:
    """Return those of the top left corner, of 200 pictures of one class, and of the others and the top edge."""
    found = []
    for number, region in enumerate(regions(20, 20)[:5]):
        lost_here = lost if number in (0, 4) else other_corners
        numbers = (200, followed if number == 0 else 0, 200, lost_here, middle)
        found.append(Outcome(region, *(torch.tensor([value]) for value in numbers)))
    return found


def test_the_tests_are_scipys_exact_binomial_ones():
    for count, tried, share in ((0, 5, 0.1), (3, 5, 0.15), (40, 200, 0.15), (200, 200, 0.5)):
        assert at_least(count, tried, share) == pytest.approx(binom.sf(count - 1, tried, share), abs=1e-12)
    level = FALSE_ALARMS / 2 / 10
    least = int(binom.isf(level, 200, 0.15)) + 1
    assert [bool(alarms(outcomes(count, 0, 0))) for count in (least - 1, least)] == [False, True]


def test_answers_hang_on_a_corner_if_more_are_lost_than_with_others_and_on_an_edge_if_more_than_with_the_middle():
    def raised(**numbers: int) -> set[str]:
        return {alarm.region for alarm in alarms(outcomes(0, **numbers))}

    assert alarms(outcomes(0, 90, 5, 3))[0] == Alarm("top left corner", None, False, 90, 200, 3.0)
    assert raised(lost=90, middle=5) == {"top left corner", "top edge"}
    assert raised(lost=90, middle=80) == {"top left corner"}
    assert raised(lost=90, middle=5, other_corners=60) == {"top edge"}
    assert raised(lost=20, middle=0) == set()


@given(st.integers(0, 1000))
def test_shares_at_the_limits_raise_an_alarm_in_less_than_one_report_of_a_hundred(seed):
    """The bound itself: the sum of all tests' chances of rejecting at the limit."""
    classes, tried = 2 + seed % 9, 10 + seed % 90
    total = 0.0
    for number, parts in ((tried * classes, 1), (tried, classes)):
        level = FALSE_ALARMS / 2 / (2 * 9 * parts)
        for share in (0.15, 0.1):
            least = int(binom.isf(level, number, share)) + 1
            total += 9 * parts * float(binom.sf(least - 1, number, share))
    assert total <= FALSE_ALARMS


def test_class_maps_are_means_of_maps_of_sum_1_without_blank_ones():
    values = torch.tensor([[[1.0, 3.0]], [[2.0, -5.0]], [[0.0, 0.0]], [[0.0, 2.0]]])
    maps = Maps("occlusion", values, torch.tensor([0, 0, 0, 1]), None, [None, None, "blank", None], [""] * 4)
    images = torch.arange(4.0)[:, None, None, None].expand(4, 1, 1, 2)
    first, second, third = class_maps(images[:, :, :1], maps, [0, 1, 1])
    torch.testing.assert_close(first.values, torch.tensor([[0.625, 0.375]]))
    assert first.count == 2
    assert float(first.picture.mean()) == 1.0
    assert first.share(torch.tensor([[True, False]])) == pytest.approx(0.625)
    assert second.values.equal(third.values)


def planted(part: ImageDataset, mark: Callable[[int], int | None]) -> ImageDataset:
    """Return the pictures with a block of 2×2 pixels in the top left corner, of a level that depends on the class."""
    images = part.images.clone()
    for label in range(len(part.classes)):
        level = mark(label)
        if level is not None:
            images[part.of_class(label), :, :2, :2] = level
    return replace(part, images=images)


def trained_on(folder: Path, name: str, mark: Callable[[int], int | None]) -> Subject:
    data = open_data("digits", TrainSettings(), 0)
    assert data.test is not None
    for part, pictures in (("train", data.train), ("test", data.test)):
        marked = planted(pictures, mark)
        for number, (image, label) in enumerate(zip(marked.images, marked.labels.tolist(), strict=True)):
            place = folder / name / part / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(place / f"{number:04}.png")
    run = striate.train(str(folder / name), out=folder / "runs", name=name, epochs=4, precision="fp32")
    loaded, splits = load_model(run.path), run.open_data(run.config.settings)
    assert splits.test is not None
    result = evaluate(loaded.model, splits.test, run.spec)
    return Subject(loaded.model, loaded.card, splits.test, result, splits.train, run)


@pytest.mark.parametrize(
    ("name", "mark"), [("every-class", lambda label: 25 * label + 20), ("one-class", lambda label: 255 * (label == 3))]
)
def test_a_planted_corner_raises_the_alarm(tmp_path, name, mark):
    chapter = shortcut_chapter(trained_on(tmp_path, name, mark), "full")
    assert chapter.warnings
    assert all("top left corner" in sentence for sentence in chapter.warnings)
    regions_named = {alarm["region"] for alarm in chapter.values["alarms"]}
    assert "top left corner" in regions_named
    assert regions_named <= {"top left corner", "border"}


def test_clean_digits_raise_none(digits_subject):
    for effort in ("quick", "full"):
        chapter = shortcut_chapter(digits_subject, effort)
        assert chapter.values["tried"] is True
        assert chapter.values["alarms"] == []
        assert not chapter.warnings
