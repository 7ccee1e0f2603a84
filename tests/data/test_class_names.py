"""Names of classes that look alike, and classes that a part of the data lacks."""

from __future__ import annotations

import unicodedata

import torch
from hypothesis import given
from hypothesis import strategies as st

from striate.core.settings import DataSettings
from striate.data.class_names import class_notes, listed, look_alikes, spelt_out
from striate.data.dataset import ImageDataset, Splits
from striate.data.sources import open_data

names = st.text("aAäÄéßſﬁ①Åå가각 ,", min_size=1, max_size=6)


def part(classes: tuple[str, ...], labels: list[int]) -> ImageDataset:
    count = len(labels)
    return ImageDataset(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.tensor(labels), classes, ["x"] * count)


def test_names_that_differ_in_case_or_in_unicode_form_alone_look_alike() -> None:
    composed, decomposed = (unicodedata.normalize(form, "naïve") for form in ("NFC", "NFD"))
    assert look_alikes(["dog", "Cat", decomposed, "cat", composed, "CAT"]) == [
        ["Cat", "cat", "CAT"],
        [decomposed, composed],
    ]
    assert spelt_out([composed, decomposed]) == r"'na\xefve' and 'nai\u0308ve'"
    assert look_alikes(["cat", "cat", "cats"]) == []


@given(names)
def test_every_form_of_a_name_looks_like_it(name: str) -> None:
    forms = {name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD"))}
    assert len(look_alikes(forms)) == (len(forms) > 1)


@given(st.lists(names, max_size=30, unique=True))
def test_a_list_of_names_says_how_many_there_are(many: list[str]) -> None:
    text = listed(many)
    assert text.startswith(", ".join(many[:10]))
    assert (f"and {len(many) - 10} more" in text) == (len(many) > 10)


def test_classes_that_a_part_lacks_are_told_for_each_part() -> None:
    classes = ("ant", "bee", "cow")
    splits = Splits("zoo", part(classes, [0, 1, 2]), val=part(classes, [1]), test=part(classes, [0, 1, 2]))
    assert class_notes(splits) == ["no val picture of ant, cow: figures of such classes are n/a there, not 0"]


def test_a_class_too_small_to_be_held_out_is_told(picture_folder) -> None:
    notes = open_data(str(picture_folder(cats=30, dogs=30, elks=2)), DataSettings(), 0).notes
    assert [note for note in notes if note.startswith("no ")] == [
        "no val picture of elks: figures of such classes are n/a there, not 0"
    ]
