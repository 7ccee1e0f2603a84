"""Links in a folder of pictures: followed, but no picture is read twice and no circle walked."""

from __future__ import annotations

import pytest

from striate.core.settings import DataSettings
from striate.data.sources.folder import load_folder
from striate.data.sources.scan import list_folder

PLAIN = DataSettings()


def test_links_to_pictures_and_folders_elsewhere_are_followed(picture_folder):
    elsewhere = picture_folder(root="archive", cats=2, dogs=2)
    root = picture_folder(cats=2)
    (root / "dogs").symlink_to(elsewhere / "dogs", target_is_directory=True)
    (root / "cats" / "linked.png").symlink_to(elsewhere / "cats" / "000.png")
    assert load_folder(root, PLAIN).train.class_counts() == [3, 2]


def test_a_link_to_another_class_is_not_a_class_of_its_own(picture_folder):
    root = picture_folder(ants=3, bees=3)
    (root / "a-link").symlink_to("ants")
    listing = list_folder(root)
    assert listing.classes == {"": ["ants", "bees"]}
    assert (str(root / "a-link"), "link to a folder read elsewhere") in listing.ignored


@pytest.mark.parametrize("target", ["cats", ".", "dogs"])
def test_a_link_back_into_the_folder_ends_and_repeats_no_picture(picture_folder, target):
    root = picture_folder(cats=3, dogs=2)
    (root / "cats" / "loop").symlink_to(root / target, target_is_directory=True)
    splits = load_folder(root, PLAIN)
    assert splits.train.class_counts() == [3, 2]
    assert any(record.path == "cats/loop" and record.status == "ignored" for record in splits.files)


def test_a_link_from_a_part_to_the_root_repeats_no_picture(picture_folder):
    picture_folder()
    for part in ("train", "val"):
        picture_folder(root=f"photos/{part}", cats=3, dogs=2)
    root = picture_folder()
    (root / "train" / "cats" / "loop").symlink_to(root, target_is_directory=True)
    splits = load_folder(root, PLAIN)
    assert splits.train.class_counts() == splits.val.class_counts() == [3, 2]


def test_a_dangling_link_is_ignored_and_recorded(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    (root / "cats" / "gone.png").symlink_to(root / "nowhere.png")
    splits = load_folder(root, PLAIN)
    assert len(splits.train) == 4
    assert {record.path: record.reason for record in splits.files}["cats/gone.png"] == "dangling link"
