"""Duplicates are told by where they lie: within a part, across parts, under two classes; with their numbers."""

from __future__ import annotations

import numpy as np
import torch

from striate.data.audit.duplicates import close_duplicates, exact_duplicates, groups, hashes_of
from striate.data.audit.finding import Finding
from striate.data.audit.pictures import Pictures

from .making import part, photographs, saved_again, splits


def exact(pictures: Pictures) -> dict[str, Finding]:
    return {finding.kind: finding for finding in exact_duplicates(pictures, hashes_of(pictures))}


def test_groups_are_all_of_equal_values() -> None:
    assert groups(np.array([5, 1, 5, 2, 1, 5, 9])) == [[0, 2, 5], [1, 4]]
    assert groups(np.arange(4)) == []


def test_equal_pictures_are_told_by_where_they_lie() -> None:
    images = photographs(12)
    train = part(np.concatenate([images[:6], images[:1]]), [0, 0, 0, 1, 1, 1, 0], "train")
    val = part(np.stack([images[1], images[6]]), [0, 0], "val")
    test = part(np.stack([images[7], images[3], images[6]]), [0, 2, 1], "test")
    found = exact(Pictures(splits(train, val, test)))
    assert {kind: finding.level for kind, finding in found.items()} == {
        "duplicates-across-parts": "falsifies", "duplicates-across-classes": "falsifies", "duplicates": "note",
    }  # fmt: skip
    across = found["duplicates-across-parts"]
    assert {case.names for case in across.cases} == {
        ("train/1", "val/0"), ("train/3", "test/1"), ("val/1", "test/2"),
    }  # fmt: skip
    assert "1 of 2 val pictures is a training picture" in across.summary
    assert "1 of 3 test pictures is a training picture" in across.summary
    assert "1 picture in validation and test part alike" in across.summary
    assert {case.names for case in found["duplicates-across-classes"].cases} == {
        ("train/3", "test/1"), ("val/1", "test/2"),
    }  # fmt: skip
    (within,) = found["duplicates"].cases
    assert within.names == ("train/0", "train/6")


def test_different_pictures_are_no_finding() -> None:
    pictures = Pictures(splits(part(photographs(8)), None, part(photographs(4, seed=9), prefix="test")))
    assert exact(pictures) == {}
    assert close_duplicates(pictures, hashes_of(pictures)) == []


def test_near_copies_across_parts_are_told_once_however_many_equal_ones_there_are() -> None:
    images = photographs(10)
    train = part(np.concatenate([images[:6], images[2:3]]), prefix="train")
    test = part(np.stack([saved_again(images[2], 70), images[8]]), prefix="test")
    pictures = Pictures(splits(train, None, test))
    (finding,) = close_duplicates(pictures, hashes_of(pictures))
    assert (finding.kind, finding.level) == ("near-duplicates-across-parts", "falsifies")
    assert [case.names for case in finding.cases] == [("train/2", "test/0")]
    assert finding.summary.startswith("1 of 2 test pictures is a training picture, too")


def test_pictures_are_numbered_through_the_parts() -> None:
    images = photographs(9, side=16)
    pictures = Pictures(splits(part(images[:4]), part(images[4:6], prefix="val"), part(images[6:], prefix="test")))
    assert pictures.names[4:7] == ["val/0", "val/1", "test/0"]
    assert [pictures.part_names[number] for number in pictures.part] == ["train"] * 4 + ["val"] * 2 + ["test"] * 3
    chosen = torch.tensor([8, 0, 5, 5])
    np.testing.assert_array_equal(pictures.images(chosen).permute(0, 2, 3, 1).numpy(), images[chosen])
    np.testing.assert_array_equal(torch.cat(list(pictures.batches())).permute(0, 2, 3, 1).numpy(), images)
