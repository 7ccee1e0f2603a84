"""What is left aside in a folder of pictures, and that every file of it is recorded with the reason."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from striate.core.settings import DataSettings
from striate.data.sources.folder import load_folder
from striate.data.sources.scan import list_folder, pictures_under

PLAIN = DataSettings()


def test_every_picture_file_has_one_line_in_the_ledger(picture_folder):
    root = picture_folder(cats=3, dogs=2)
    records = load_folder(root, PLAIN).files
    assert sorted(record.path for record in records) == sorted(str(p.relative_to(root)) for p in root.rglob("*.png"))
    assert {record.status for record in records} == {"used"}
    assert all(record.path.startswith(record.class_name) for record in records)


def test_pictures_under_yields_files_and_the_pictures_of_folders(picture_folder, tmp_path):
    root = picture_folder(cats=2, dogs=1)
    (root / "notes.txt").write_text("x")
    single = tmp_path / "any name"
    assert list(pictures_under([single, root], [])) == [
        single, root / "cats" / "000.png", root / "cats" / "001.png", root / "dogs" / "000.png",
    ]  # fmt: skip


def test_hidden_and_system_files_and_other_files_are_ignored_and_counted(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    for name in ("Thumbs.db", ".DS_Store", "._000.png", "desktop.ini"):
        (root / "cats" / name).write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    shutil.copy(root / "cats" / "000.png", root / "__MACOSX" / "000.png")
    (root / "dogs" / "notes.txt").write_text("good dogs")
    splits = load_folder(root, PLAIN)
    assert splits.classes == ("cats", "dogs")
    assert len(splits.train) == 4
    assert any(note.startswith("6 ignored: hidden") for note in splits.notes)
    ignored = {record.path for record in splits.files if record.status == "ignored"}
    assert ignored == {
        "cats/Thumbs.db", "cats/.DS_Store", "cats/._000.png", "cats/desktop.ini", ".git", "__MACOSX", "dogs/notes.txt",
    }  # fmt: skip
    assert all(record.reason for record in splits.files if record.status == "ignored")


@pytest.mark.parametrize("part", ["", "train/"])
def test_pictures_beside_the_class_folders_are_ignored_and_recorded(picture_folder, part):
    root = picture_folder()
    picture_folder(root=f"photos/{part}", cats=2, dogs=2)
    loose = {"loose.png", f"{part}loose.png"}
    for name in loose:
        shutil.copy(root / part / "cats" / "000.png", root / name)
    splits = load_folder(root, PLAIN)
    assert len(splits.train) == 4
    ignored = {record.path: record.reason for record in splits.files if record.status == "ignored"}
    assert ignored == dict.fromkeys(loose, "outside class folders")


def test_run_folders_inside_the_pictures_are_no_class(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    run = root / "runs" / "photos"
    (run / "figures").mkdir(parents=True)
    for name in ("config.json", "environment.json"):
        (run / name).write_text("{}")
    Image.new("L", (8, 8)).save(run / "figures" / "curve.png")
    listing = list_folder(root)
    assert listing.classes == {"": ["cats", "dogs"]}
    assert (str(root / "runs"), "run folders of striate") in listing.ignored
