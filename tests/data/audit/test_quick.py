"""The check before every training: the same findings, and those that matter as sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from striate.data.audit.duplicates import hashes_of
from striate.data.audit.pictures import Pictures
from striate.data.audit.quick import NEAR_PICTURES, quick_check, worth_telling
from striate.data.dataset import FileRecord, Splits
from striate.data.duplicates import picture_hashes

from .making import part, photographs, saved_again, splits


def checked(data: Splits) -> dict[str, str]:
    return {finding.kind: finding.level for finding in quick_check(data, picture_hashes(data.train.images))}


def test_what_falsifies_comes_first_and_is_told() -> None:
    images = photographs(30)
    images[4] = 0
    train = part(np.concatenate([images[:20], images[:1]]), [0] * 7 + [1] * 7 + [2] * 7)
    test = part(np.stack([images[5], saved_again(images[6]), images[25]]), [0, 0, 1], "test")
    data = splits(train, None, test)
    found = quick_check(data, picture_hashes(train.images))
    assert [finding.kind for finding in found][:3] == [
        "duplicates-across-parts", "duplicates-across-classes", "near-duplicates-across-parts",
    ]  # fmt: skip
    told = worth_telling(found)
    assert told[0].startswith("1 of 3 test pictures is a training picture, too, pixel for pixel")
    assert any("1 picture with hardly anything to see" in sentence for sentence in told)


def test_notes_are_kept_and_not_told() -> None:
    images = photographs(9)
    data = splits(part(np.concatenate([images, images[:1]]), [0, 1, 2] * 3 + [0]))
    found = quick_check(data, picture_hashes(data.train.images))
    assert [finding.kind for finding in found] == ["duplicates"]
    assert worth_telling(found) == []


def test_files_that_were_skipped_or_ignored_are_kept_with_their_reasons() -> None:
    files = [
        FileRecord("a.png", "", "x", "skipped", "empty file"),
        FileRecord("b.txt", "", "", "ignored", "no picture"),
    ]
    data = Splits("made", part(photographs(6), [0, 1, 2] * 2), files=files)
    found = {finding.kind: finding for finding in quick_check(data, picture_hashes(data.train.images))}
    assert found["unreadable"].cases[0].text == "a.png (empty file)"
    assert found["ignored"].cases[0].names == ("b.txt",)
    assert worth_telling(found.values()) == [], "the data's own notes say it"


def test_near_duplicates_are_left_to_the_full_check_where_there_are_many_pictures(monkeypatch) -> None:
    images = photographs(10)
    data = splits(part(images, [0, 1, 2] * 3 + [0]), None, part(np.stack([saved_again(images[0])]), prefix="test"))
    assert "near-duplicates-across-parts" in checked(data)
    assert NEAR_PICTURES >= 1000
    monkeypatch.setattr("striate.data.audit.quick.NEAR_PICTURES", 10)
    assert "near-duplicates-across-parts" not in checked(data)


def test_pictures_with_any_number_of_classes_are_checked_too() -> None:
    images = photographs(8, side=32)
    labels = torch.zeros(8, 3, dtype=torch.bool)
    labels[:, 0], labels[3, 1] = True, True
    train, test = part(images), part(images[3:4], prefix="test")
    data = splits(replace(train, labels=labels), None, replace(test, labels=torch.tensor([[True, False, False]])))
    found = {finding.kind: finding for finding in quick_check(data, picture_hashes(train.images))}
    assert found["duplicates-across-classes"].cases[0].detail == "train: ants|bees, test: ants"
    assert "imbalance" not in found


def test_its_hashes_are_those_of_the_full_check() -> None:
    data = splits(part(photographs(5)), part(photographs(3, seed=2), prefix="val"))
    whole = torch.cat([picture_hashes(each.images) for each in data.parts().values()])
    assert torch.equal(hashes_of(Pictures(data)), whole)
