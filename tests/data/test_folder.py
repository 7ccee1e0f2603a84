"""Folders of pictures: layouts, what is ignored, what is refused, and that nothing is ever written to them."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from striate.core.errors import DataError, StriateError
from striate.core.settings import DataSettings
from striate.data.sources import load_data, open_data
from striate.data.sources.folder import load_folder, working_size
from striate.data.sources.scan import list_folder, pictures_under

PLAIN = DataSettings()


def refused(root: Path, settings: DataSettings = PLAIN) -> DataError:
    with pytest.raises(StriateError) as caught:
        open_data(str(root), settings, 0)
    assert isinstance(caught.value, DataError)
    assert caught.value.exit_code == 3
    assert caught.value.fix
    return caught.value


def test_class_folders_become_classes_in_alphabetical_order(picture_folder):
    root = picture_folder(dogs=3, ants=2, cats=4)
    splits = load_folder(root, PLAIN)
    assert splits.classes == ("ants", "cats", "dogs")
    assert splits.train.class_counts() == [2, 4, 3]
    assert (splits.val, splits.test) == (None, None)
    assert splits.name == "photos"


def test_pixels_labels_and_names_are_those_of_the_files(picture_folder):
    root = picture_folder(cats=3, dogs=2)
    train = load_folder(root, PLAIN).train
    assert list(train.names) == [f"cats/{i:03}.png" for i in range(3)] + [f"dogs/{i:03}.png" for i in range(2)]
    for image, label, name in zip(train.images, train.labels.tolist(), train.names, strict=True):
        pixels = np.asarray(Image.open(root / name))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels)
        assert train.classes[label] == name.split("/")[0]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "valid", "Testing"),
        ("TRAIN", "Validation", None),
        ("train", None, "test"),
    ],
)
def test_parts_are_recognised_by_their_usual_names(picture_folder, train, val, test):
    root = picture_folder()
    expected = {}
    for name, folder, count in [("train", train, 4), ("val", val, 3), ("test", test, 2)]:
        if folder:
            picture_folder(root=f"photos/{folder}", cats=count, dogs=count)
            expected[name] = 2 * count
    splits = load_folder(root, PLAIN)
    assert {name: len(part) for name, part in splits.parts().items()} == expected
    assert splits.train.names[0] == f"{train}/cats/000.png"


def test_pictures_at_any_depth_below_a_class_folder_count(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    shutil.copytree(root / "cats", root / "cats" / "more" / "and more")
    assert load_folder(root, PLAIN).train.class_counts() == [4, 2]


def test_picture_suffixes_are_read_in_any_case(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    (root / "cats" / "000.png").rename(root / "cats" / "PHOTO.PNG")
    assert load_folder(root, PLAIN).train.class_counts() == [2, 2]


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


def test_every_picture_file_has_one_line_in_the_ledger(picture_folder):
    root = picture_folder(cats=3, dogs=2)
    records = load_folder(root, PLAIN).files
    assert sorted(record.path for record in records) == sorted(str(p.relative_to(root)) for p in root.rglob("*.png"))
    assert {record.status for record in records} == {"used"}
    assert all(record.path.startswith(record.class_name) for record in records)


# What is refused


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
    assert "elks, gnus" in str(error)
    assert "cats" not in error.what


def test_a_class_that_the_training_part_lacks_is_refused_by_name(picture_folder):
    picture_folder()
    picture_folder(root="photos/train", cats=3, dogs=3)
    picture_folder(root="photos/val", cats=2, dogs=2, elks=2)
    assert "val/elks" in str(refused(picture_folder()))


def test_a_class_that_only_the_validation_part_lacks_is_no_error(picture_folder):
    picture_folder()
    picture_folder(root="photos/train", cats=3, dogs=3, elks=3)
    picture_folder(root="photos/val", cats=2, elks=2)
    splits = load_folder(picture_folder(), PLAIN)
    assert splits.val.classes == ("cats", "dogs", "elks")
    assert splits.val.class_counts() == [2, 0, 2]


def test_two_folders_for_one_part_are_refused(picture_folder):
    picture_folder()
    for part in ("train", "val", "valid"):
        picture_folder(root=f"photos/{part}", cats=2, dogs=2)
    error = refused(picture_folder())
    assert "photos/val" in str(error)
    assert "photos/valid" in str(error)


@pytest.mark.parametrize("settings", [PLAIN, DataSettings(skip_bad=True)])
def test_one_picture_in_a_class_is_too_few(picture_folder, settings):
    error = refused(picture_folder(cats=5, dogs=1), settings)
    assert "dogs (1)" in str(error)
    assert "cats" not in error.what


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


# Links


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


def test_links_to_pictures_and_folders_elsewhere_are_followed(picture_folder):
    elsewhere = picture_folder(root="archive", cats=2, dogs=2)
    root = picture_folder(cats=2)
    (root / "dogs").symlink_to(elsewhere / "dogs", target_is_directory=True)
    (root / "cats" / "linked.png").symlink_to(elsewhere / "cats" / "000.png")
    assert load_folder(root, PLAIN).train.class_counts() == [3, 2]


def test_a_dangling_link_is_ignored_and_recorded(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    (root / "cats" / "gone.png").symlink_to(root / "nowhere.png")
    splits = load_folder(root, PLAIN)
    assert len(splits.train) == 4
    assert {record.path: record.reason for record in splits.files}["cats/gone.png"] == "dangling link"


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


# Size and colour


def test_grey_pictures_give_one_channel_and_a_single_colour_picture_gives_three(picture_folder):
    root = picture_folder(mode="L", cats=3, dogs=3)
    assert load_folder(root, PLAIN).train.input_shape == (1, 16, 16)
    Image.new("RGB", (16, 16), "red").save(root / "cats" / "red.png")
    assert load_folder(root, PLAIN).train.input_shape == (3, 16, 16)
    assert load_folder(root, DataSettings(channels=1)).train.input_shape == (1, 16, 16)


@pytest.mark.parametrize("mode", ["1", "I;16", "LA"])
def test_other_grey_modes_count_as_grey(picture_folder, mode):
    root = picture_folder(cats=0, dogs=0)
    for i in range(4):
        Image.new(mode, (16, 16)).save(root / ("cats" if i < 2 else "dogs") / f"{i}.png")
    assert load_folder(root, PLAIN).train.input_shape == (1, 16, 16)


def test_pictures_of_mixed_sizes_get_a_usual_size_that_the_median_fills(picture_folder):
    root = picture_folder(cats=0, dogs=0)
    for i, (width, height) in enumerate([(300, 130), (140, 200), (500, 135), (20, 20), (128, 700)]):
        Image.new("RGB", (width, height)).save(root / ("cats" if i < 3 else "dogs") / f"{i}.png")
    assert load_folder(root, PLAIN).train.input_shape == (3, 128, 128)
    assert load_folder(root, DataSettings(img_size=40)).train.input_shape == (3, 40, 40)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [([28] * 9, 28), ([64] * 3, 64), ([8, 8], 8), ([65, 65], 64), ([5, 5], 32), ([3000, 2000], 224), ([], 32),
     ([50, 60, 500], 48), ([224], 224)],
)  # fmt: skip
def test_the_working_size_is_the_pictures_own_or_a_usual_one_below(sides, expected):
    assert working_size(sides) == expected


def test_resize_and_interpolation_are_obeyed(picture_folder):
    root = picture_folder(side=40, cats=2, dogs=2)
    settings = DataSettings(img_size=16, resize="squash", interpolation="lanczos")
    train = load_folder(root, settings).train
    theirs = Image.open(root / train.names[0]).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(train.images[0].permute(1, 2, 0).numpy(), np.asarray(theirs))


# Through the door that everything uses


def test_an_unsplit_folder_is_split_into_three_disjoint_parts(picture_folder):
    root = picture_folder(cats=20, dogs=30)
    splits = open_data(str(root), DataSettings(val_share=0.2, test_share=0.1), seed=3)
    names = [set(part.names) for part in splits.parts().values()]
    assert len(set.union(*names)) == sum(map(len, names)) == 50
    assert splits.test.class_counts() == [2, 3]
    again = open_data(str(root), DataSettings(val_share=0.2, test_share=0.1), seed=3)
    assert again.fingerprint() == splits.fingerprint()


def test_loading_does_not_depend_on_where_the_folder_lies(picture_folder, tmp_path, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    shutil.copytree(root, tmp_path / "elsewhere" / "photos")
    monkeypatch.chdir(tmp_path)
    first, second = load_data("./photos", PLAIN), load_data(str(tmp_path / "elsewhere" / "photos"), PLAIN)
    assert first.fingerprint() == second.fingerprint()
    assert list(first.train.names) == list(second.train.names)
    assert first.name == second.name == "photos"


def test_too_few_first_pictures_to_cover_every_class_are_refused(picture_folder):
    error = refused(picture_folder(cats=10, dogs=10), DataSettings(first=1))
    assert "dogs" in str(error)


def test_the_first_n_of_a_folder_keep_the_shares_of_its_classes(picture_folder):
    splits = open_data(str(picture_folder(cats=40, dogs=20)), DataSettings(first=12), seed=0)
    assert splits.train.class_counts() == [8, 4]


def test_run_folders_inside_the_pictures_are_no_class(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    run = root / "runs" / "photos"
    (run / "figures").mkdir(parents=True)
    for name in ("config.json", "environment.json"):
        (run / name).write_text("{}")
    Image.new("L", (8, 8)).save(run / "figures" / "curve.png")
    listing = list_folder(root)
    assert listing.classes == {"": ["cats", "dogs"]}
    assert (root / "runs", "run folders of striate") in listing.ignored


def test_a_class_called_train_is_a_class(picture_folder):
    listing = list_folder(picture_folder(train=3, car=3))
    assert listing.classes == {"": ["car", "train"]}


def test_a_link_to_another_class_is_not_a_class_of_its_own(picture_folder):
    root = picture_folder(ants=3, bees=3)
    (root / "a-link").symlink_to("ants")
    listing = list_folder(root)
    assert listing.classes == {"": ["ants", "bees"]}
    assert (root / "a-link", "link to a folder read elsewhere") in listing.ignored


def test_a_folder_named_like_a_data_set_is_spoken_of(picture_folder, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    root.rename(root.with_name("digits"))
    monkeypatch.chdir(root.parent)
    assert any("./digits" in note for note in open_data("digits", DataSettings(), 0).notes)
    assert open_data("./digits", DataSettings(), 0).classes == ("cats", "dogs")


def test_pictures_under_yields_files_and_the_pictures_of_folders(picture_folder, tmp_path):
    root = picture_folder(cats=2, dogs=1)
    (root / "notes.txt").write_text("x")
    single = tmp_path / "any name"
    assert list(pictures_under([single, root], [])) == [
        single, root / "cats" / "000.png", root / "cats" / "001.png", root / "dogs" / "000.png",
    ]  # fmt: skip


# Real folders


def test_hymenoptera_is_read_whole_with_its_gif(real_data):
    root = real_data("hymenoptera")
    splits = load_folder(root, DataSettings(img_size=32))
    assert splits.classes == ("ants", "bees")
    assert len(splits.train) == 245
    assert len(splits.val) == 122
    assert splits.test is None
    assert "train/ants/imageNotFound.gif" in splits.train.names
    assert splits.train.input_shape == (3, 32, 32)
    for part, data in (("train", splits.train), ("val", splits.val)):
        counts = [sum(path.is_file() for path in (root / part / name).iterdir()) for name in splits.classes]
        assert data.class_counts() == counts
    assert len(torch.unique(splits.train.images.flatten(1), dim=0)) > 230


def test_parts_without_a_training_part_are_no_classes(picture_folder) -> None:
    folder = picture_folder(cats=3, dogs=3)
    for part in ("val", "test"):
        for name in ("cats", "dogs"):
            (folder / part / name).mkdir(parents=True)
            (folder / part / name / "0.png").write_bytes((folder / name / "000.png").read_bytes())
    for name in ("cats", "dogs"):
        for file in (folder / name).iterdir():
            file.unlink()
        (folder / name).rmdir()
    with pytest.raises(DataError, match="no train folder"):
        load_folder(folder, DataSettings())
