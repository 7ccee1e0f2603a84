"""Blank, dark and bright pictures; groups in several parts; classes that are missing or rare."""

from __future__ import annotations

import numpy as np

from striate.data.audit.classes import uneven_classes
from striate.data.audit.finding import Finding
from striate.data.audit.light import light_findings
from striate.data.audit.pictures import Pictures

from .making import part, photographs, splits


def by_kind(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings}


def light(images: np.ndarray) -> dict[str, list[str]]:
    found = by_kind(light_findings(Pictures(splits(part(images)))))
    return {kind: [case.names[0] for case in finding.cases] for kind, finding in found.items()}


def test_pictures_of_one_colour_are_blank() -> None:
    images = photographs(6)
    images[1] = 0
    images[3] = 255
    images[4] = 90  # and of any colour
    assert light(images) == {"blank": ["train/1", "train/3", "train/4"]}


def test_dark_and_bright_pictures_are_told() -> None:
    images = photographs(5)
    images[0] = images[0] // 8
    images[2] = 255 - images[2] // 8
    assert light(images) == {"dark": ["train/0"], "bright": ["train/2"]}


def test_white_strokes_on_black_are_neither_dark_nor_blank() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 4:24, 13:15] = 250
    assert light(images) == {}
    assert light(255 - images) == {}


def test_a_pure_colour_is_not_dark() -> None:
    images = photographs(2)
    images[0, :, :, :2] = 0
    assert light(images) == {}


def test_imbalance_is_told_from_ten_times_on() -> None:
    images = photographs(34, side=16)
    assert by_kind(uneven_classes(splits(part(images, [0] * 20 + [1] * 10 + [2] * 4)))) == {}
    finding = by_kind(uneven_classes(splits(part(images, [0] * 30 + [1] * 2 + [2] * 2))))["imbalance"]
    assert finding.level == "warning"
    assert "30 training pictures of ants, 2 of bees" in finding.summary


def test_classes_that_a_held_out_part_lacks_are_told_by_name() -> None:
    images = photographs(12, side=16)
    train = part(images[:6], [0, 0, 1, 1, 2, 2])
    test = part(images[6:], [0, 0, 0, 2, 2, 2], "test")
    finding = by_kind(uneven_classes(splits(train, None, test)))["missing-classes"]
    assert finding.level == "warning"
    assert [case.detail for case in finding.cases] == ["test: bees"]
