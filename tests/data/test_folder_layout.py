"""Folders of pictures: which folders are classes and parts, and that the files' own pixels come of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.data.sources import load_data
from striate.data.sources.folder import load_folder
from striate.data.sources.scan import list_folder

PLAIN = DataSettings()


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


def test_picture_suffixes_are_read_in_any_case(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    (root / "cats" / "000.png").rename(root / "cats" / "PHOTO.PNG")
    assert load_folder(root, PLAIN).train.class_counts() == [2, 2]


def test_pictures_at_any_depth_below_a_class_folder_count(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    shutil.copytree(root / "cats", root / "cats" / "more" / "and more")
    assert load_folder(root, PLAIN).train.class_counts() == [4, 2]


def test_loading_does_not_depend_on_where_the_folder_lies(picture_folder, tmp_path, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    shutil.copytree(root, tmp_path / "elsewhere" / "photos")
    monkeypatch.chdir(tmp_path)
    first, second = load_data("./photos", PLAIN), load_data(str(tmp_path / "elsewhere" / "photos"), PLAIN)
    assert first.fingerprint() == second.fingerprint()
    assert list(first.train.names) == list(second.train.names)
    assert first.name == second.name == "photos"


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


def test_a_class_that_only_the_validation_part_lacks_is_no_error(picture_folder):
    picture_folder()
    picture_folder(root="photos/train", cats=3, dogs=3, elks=3)
    picture_folder(root="photos/val", cats=2, elks=2)
    splits = load_folder(picture_folder(), PLAIN)
    assert splits.val.classes == ("cats", "dogs", "elks")
    assert splits.val.class_counts() == [2, 0, 2]


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


def test_a_class_called_train_is_a_class(picture_folder):
    listing = list_folder(picture_folder(train=3, car=3))
    assert listing.classes == {"": ["car", "train"]}


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
