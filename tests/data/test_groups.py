"""Groups of folders and tables: named, held together by every split, and refused where the data divide them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.core.errors import DataError, SettingsError
from striate.core.settings import DataSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.sources import load_data, open_data
from striate.data.sources.groups import group_numbers, groups_in_paths
from striate.data.split import complete

from .tables import write_table


def patients(picture_folder, each: int = 3, count: int = 8, root: str = "photos") -> Path:
    """Return a folder of two classes with pictures of patients, `each` of each class."""
    folder = picture_folder(root=root, ill=each * count, well=each * count)
    for name in ("ill", "well"):
        for number, path in enumerate(sorted((folder / name).iterdir())):
            path.rename(path.with_name(f"patient{number // each}-{number % each}.png"))
    return folder


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"patient\d+", ["patient3", "patient3", "patient10"]),
        (r"patient(\d+)", ["3", "3", "10"]),
        (r"^(\w+)/", ["a", "b", "a"]),
        (r"^(\w+)/patient(\d)", ["a", "b", "a"]),
        (r"(?:patient)\d+", ["patient3", "patient3", "patient10"]),
    ],
)
def test_the_first_bracket_or_the_whole_match_names_the_group(pattern, expected):
    names = ["a/patient3-1.png", "b/patient3-2.png", "a/patient10-1.png"]
    assert groups_in_paths(pattern, names, "data") == expected


def test_pictures_in_no_group_are_all_named():
    names = ["a/p1.png", "a/x.png", "b/p2.png", "b/y.png"]
    for pattern in (r"p\d", r"p?(\d)|[xy]"):
        with pytest.raises(DataError) as caught:
            groups_in_paths(pattern, names, "data")
        assert "2 of 4" in str(caught.value)
        assert "a/x.png" in str(caught.value)
        assert "b/y.png" in str(caught.value)
        assert "p1" not in str(caught.value)


def test_a_pattern_that_finds_no_group_at_all_is_told_once():
    names = [f"a/{number}.png" for number in range(1000)]
    for pattern in ("patient", "x*"):
        with pytest.raises(DataError, match=r"none of 1,000 pictures.* the first is a/0\.png") as caught:
            groups_in_paths(pattern, names, "data")
        assert len(str(caught.value)) < 300


def test_what_is_no_regular_expression_is_a_setting_to_correct(picture_folder):
    with pytest.raises(SettingsError, match=r"not a regular expression"):
        open_data(str(picture_folder(cats=3, dogs=3)), DataSettings(group="(x"), 0)


def test_equal_names_have_equal_numbers():
    assert group_numbers(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_no_group_of_a_folder_is_in_two_parts(picture_folder, seed):
    folder = patients(picture_folder)
    splits = open_data(str(folder), DataSettings(group=r"patient\d+", val_share=0.2, test_share=0.2), seed)
    found = [{Path(name).name.split("-")[0] for name in part.names} for part in splits.parts().values()]
    assert len(found) == 3
    assert len(set.union(*found)) == sum(map(len, found)) == 8
    assert all(min(part.class_counts()) > 0 for part in splits.parts().values())
    assert any("8 groups held together" in note for note in splits.notes)
    again = open_data(str(folder), DataSettings(group=r"patient\d+", val_share=0.2, test_share=0.2), seed)
    assert again.fingerprint() == splits.fingerprint()


def test_a_tables_column_and_its_paths_name_the_same_groups(picture_folder):
    folder = patients(picture_folder)
    table = write_table(
        folder / "t.csv",
        ("path", "label", "patient"),
        lambda n, name: (name, name.split("/")[0], Path(name).name.split("-")[0]),
    )
    by_column = open_data(str(table), DataSettings(), 0)
    by_path = open_data(str(table), DataSettings(group=r"patient\d+"), 0)
    assert by_column.fingerprint() == by_path.fingerprint()
    assert torch.equal(by_column.train.groups, by_path.train.groups)
    assert by_column.fingerprint() != open_data(str(table), DataSettings(group_column=""), 0).fingerprint()
    with pytest.raises(SettingsError, match="leave one out"):
        open_data(str(table), DataSettings(group="x", group_column="patient"), 0)


def test_groups_that_cross_the_parts_of_a_folder_are_listed(picture_folder):
    folder = picture_folder(root="split")
    for part, count in (("train", 4), ("test", 3)):
        patients(picture_folder, each=1, count=count, root=f"split/{part}")
    with pytest.raises(DataError, match="3 groups") as caught:
        load_data(str(folder), DataSettings(group=r"patient\d"))
    for number in (0, 1, 2):
        assert f"patient{number}: test 2, train 2 pictures" in str(caught.value)
    assert "patient3" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_groups_are_listed_as_people_count(picture_folder):
    folder = picture_folder(root="split")
    for part in ("train", "test"):
        patients(picture_folder, each=1, count=12, root=f"split/{part}")
    with pytest.raises(DataError, match="12 groups") as caught:
        load_data(str(folder), DataSettings(group=r"patient\d+"))
    listed = [line.split(":")[0].strip() for line in caught.value.what.splitlines()[1:]]
    assert listed == [f"patient{number}" for number in range(12)]


def test_groups_that_cross_the_parts_of_a_table_are_listed(picture_folder):
    folder = patients(picture_folder, each=2, count=4)

    def part(name: str) -> str:
        return "val" if "patient2-1" in name or "patient3" in name else "train"

    table = write_table(
        folder / "t.csv",
        ("path", "label", "split", "patient"),
        lambda n, name: (name, name.split("/")[0], part(name), Path(name).name.split("-")[0]),
    )
    with pytest.raises(DataError, match="1 groups have pictures in more than one part") as caught:
        load_data(str(table), DataSettings())
    assert "patient2: train 2, val 2 pictures" in str(caught.value)


def test_named_data_have_no_paths_to_find_groups_in():
    with pytest.raises(SettingsError, match="group"):
        load_data("digits", DataSettings(group="x"))


def grouped(labels: list[int], groups: list[int]) -> Splits:
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    names = [str(number) for number in range(len(labels))]
    return Splits("x", ImageDataset(images, torch.tensor(labels), ("a", "b"), names, torch.tensor(groups)))


def test_one_group_cannot_be_split():
    with pytest.raises(DataError, match="one group"):
        complete(grouped([0, 1] * 4, [3] * 8), None, 0.1, 0)


def test_classes_that_are_never_held_out_are_told():
    splits = complete(grouped([0] * 12 + [1] * 12, [n // 2 for n in range(12)] + [99] * 12), 0.2, 0.2, 0)
    assert splits.val is not None
    assert splits.test is not None
    assert any("never held out" in note and note.endswith(": b") for note in splits.notes)


def test_selecting_pictures_keeps_their_groups():
    data = grouped([0, 1, 0, 1, 0, 1], [5, 5, 6, 6, 7, 7])
    part = data.train
    assert part.select(torch.tensor([4, 0])).groups.tolist() == [7, 5]
    assert part.first(3).groups.tolist() == [5, 5, 6]
    assert part.spread(3).groups.tolist() == [5, 6, 7]
    assert data.only_classes(["b", "a"]).train.groups.tolist() == [5, 5, 6, 6, 7, 7]
    assert data.train.only_classes(["b"]).groups.tolist() == [5, 6, 7]


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 60), many=st.integers(2, 20), share=st.floats(0.05, 0.5))
@settings(deadline=None)
def test_no_group_is_in_two_of_three_parts_and_every_class_stays_in_training(seed, count, many, share):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 2, count).tolist(), rng.integers(0, many, count).tolist()
    data = grouped(labels, groups)
    if len(set(groups)) == 1:
        return
    splits = complete(data, share, share, seed)
    held = [set(part.groups.tolist()) for part in splits.parts().values()]
    assert sum(map(len, held)) == len(set(groups))
    assert sum(map(len, splits.parts().values())) == count
    assert [n > 0 for n in splits.train.class_counts()] == [n > 0 for n in data.train.class_counts()]
    again = complete(data, share, share, seed)
    assert splits.fingerprint() == again.fingerprint()
    assert [list(part.names) for part in again.parts().values()] == [list(p.names) for p in splits.parts().values()]
