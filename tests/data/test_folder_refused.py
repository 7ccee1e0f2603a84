"""Folders that cannot be learned from and pictures that cannot be read: refused by name, never written to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from striate.core.errors import DataError, StriateError
from striate.core.settings import DataSettings
from striate.data.sources import open_data
from striate.data.sources.folder import load_folder

PLAIN = DataSettings()


def refused(root: Path, settings: DataSettings = PLAIN) -> DataError:
    with pytest.raises(StriateError) as caught:
        open_data(str(root), settings, 0)
    assert isinstance(caught.value, DataError)
    assert caught.value.exit_code == 3
    assert caught.value.fix
    return caught.value


def test_a_missing_path_is_refused(tmp_path):
    assert "missing" in str(refused(tmp_path / "missing"))


def test_a_file_in_place_of_a_folder_is_refused(picture_folder):
    root = picture_folder(cats=1)
    assert "000.png" in str(refused(root / "cats" / "000.png"))


def test_an_empty_folder_is_refused(picture_folder):
    root = picture_folder()
    error = refused(root)
    assert error.where == str(root)
    assert "CLASS" in error.fix


def test_pictures_in_the_root_only_are_refused_with_the_layout(picture_folder):
    root = picture_folder(cats=3)
    for path in (root / "cats").iterdir():
        path.rename(root / path.name)
    (root / "cats").rmdir()
    error = refused(root)
    assert "3 pictures" in str(error)
    assert "CLASS" in error.fix


def test_one_class_is_refused_by_name(picture_folder):
    assert "'cats'" in str(refused(picture_folder(cats=5)))


def test_empty_classes_are_refused_by_name(picture_folder):
    error = refused(picture_folder(cats=3, dogs=3, elks=0, gnus=0))
    assert "\n  elks\n  gnus\n" in str(error)
    assert "cats" not in error.what


@pytest.mark.parametrize("settings", [PLAIN, DataSettings(skip_bad=True)])
def test_one_picture_in_a_class_is_too_few(picture_folder, settings):
    error = refused(picture_folder(cats=5, dogs=1), settings)
    assert "dogs (1)" in str(error)
    assert "cats" not in error.what


def test_too_few_first_pictures_to_cover_every_class_are_refused(picture_folder):
    error = refused(picture_folder(cats=10, dogs=10), DataSettings(first=1))
    assert "dogs" in str(error)


def test_two_folders_for_one_part_are_refused(picture_folder):
    picture_folder()
    for part in ("train", "val", "valid"):
        picture_folder(root=f"photos/{part}", cats=2, dogs=2)
    error = refused(picture_folder())
    assert "photos/val" in str(error)
    assert "photos/valid" in str(error)


def test_a_class_that_the_training_part_lacks_is_refused_by_name(picture_folder):
    picture_folder()
    picture_folder(root="photos/train", cats=3, dogs=3)
    picture_folder(root="photos/val", cats=2, dogs=2, elks=2)
    assert "val/elks" in str(refused(picture_folder()))


def spoil(root: Path) -> list[str]:
    """Make three of the pictures unreadable, each in its own way, and return their names."""
    (root / "cats" / "001.png").write_bytes(b"")
    (root / "cats" / "003.png").write_bytes((root / "cats" / "003.png").read_bytes()[:200])
    (root / "dogs" / "002.png").write_text("<html>not found</html>")
    return ["cats/001.png", "cats/003.png", "dogs/002.png"]


def test_all_bad_pictures_are_named_at_once(picture_folder):
    root = picture_folder(cats=5, dogs=5)
    bad = spoil(root)
    error = refused(root)
    assert "3 of 10" in str(error)
    for name in bad:
        assert str(root / name) in str(error)
    assert "cats/000.png" not in str(error)
    assert "--skip-bad" in error.fix


def test_skipped_pictures_are_recorded_with_their_reason_and_the_rest_is_used(picture_folder):
    root = picture_folder(cats=5, dogs=5)
    bad = spoil(root)
    splits = load_folder(root, DataSettings(skip_bad=True))
    assert splits.train.class_counts() == [3, 4]
    assert not set(bad) & set(splits.train.names)
    skipped = {record.path: record.reason for record in splits.files if record.status == "skipped"}
    assert list(skipped) == bad
    assert all(skipped.values())
    assert sum(record.status == "used" for record in splits.files) == 7
    assert any("3 unreadable" in note for note in splits.notes)


def test_a_class_of_bad_pictures_only_cannot_be_skipped(picture_folder):
    root = picture_folder(cats=3, dogs=2)
    for path in (root / "dogs").iterdir():
        path.write_bytes(b"x")
    assert "dogs (0)" in str(refused(root, DataSettings(skip_bad=True)))


def test_a_part_of_bad_pictures_only_cannot_be_skipped(picture_folder):
    picture_folder()
    picture_folder(root="photos/train", cats=3, dogs=3)
    root = picture_folder(root="photos/val", cats=1)
    (root / "cats" / "000.png").write_bytes(b"x")
    assert "'val'" in str(refused(picture_folder(), DataSettings(skip_bad=True)))


def test_a_pipe_among_the_pictures_is_refused_by_name_and_does_not_block(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    os.mkfifo(root / "dogs" / "pipe.jpg")
    assert "pipe.jpg" in str(refused(root))


def test_the_users_folder_is_left_byte_for_byte_as_it_was(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    spoil(root)
    (root / "cats" / "Thumbs.db").write_bytes(b"x")

    def state() -> dict[str, tuple[str, int]]:
        return {
            str(path): (
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
                path.stat().st_mtime_ns,
            )
            for path in [root, *root.rglob("*")]
        }

    before = state()
    refused(root)
    open_data(str(root), DataSettings(skip_bad=True, img_size=8), 0)
    assert state() == before
