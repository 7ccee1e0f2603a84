"""What the settings ask of a folder: size and channels of its pictures, how many of them, and its split."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from striate.core.settings import DataSettings
from striate.data.sources import open_data
from striate.data.sources.assemble import working_size
from striate.data.sources.folder import load_folder

PLAIN = DataSettings()


@pytest.mark.parametrize(
    ("sides", "expected"),
    [([28] * 9, 28), ([64] * 3, 64), ([8, 8], 8), ([65, 65], 64), ([5, 5], 32), ([3000, 2000], 224), ([], 32),
     ([50, 60, 500], 48), ([224], 224)],
)  # fmt: skip
def test_the_working_size_is_the_pictures_own_or_a_usual_one_below(sides, expected):
    assert working_size(sides) == expected


def test_pictures_of_mixed_sizes_get_a_usual_size_that_the_median_fills(picture_folder):
    root = picture_folder(cats=0, dogs=0)
    for i, (width, height) in enumerate([(300, 130), (140, 200), (500, 135), (20, 20), (128, 700)]):
        Image.new("RGB", (width, height)).save(root / ("cats" if i < 3 else "dogs") / f"{i}.png")
    assert load_folder(root, PLAIN).train.input_shape == (3, 128, 128)
    assert load_folder(root, DataSettings(img_size=40)).train.input_shape == (3, 40, 40)


def test_resize_and_interpolation_are_obeyed(picture_folder):
    root = picture_folder(side=40, cats=2, dogs=2)
    settings = DataSettings(img_size=16, resize="squash", interpolation="lanczos")
    train = load_folder(root, settings).train
    theirs = Image.open(root / train.names[0]).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(train.images[0].permute(1, 2, 0).numpy(), np.asarray(theirs))


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


def test_an_unsplit_folder_is_split_into_three_disjoint_parts(picture_folder):
    root = picture_folder(cats=20, dogs=30)
    splits = open_data(str(root), DataSettings(val_share=0.2, test_share=0.1), seed=3)
    names = [set(part.names) for part in splits.parts().values()]
    assert len(set.union(*names)) == sum(map(len, names)) == 50
    assert splits.test.class_counts() == [2, 3]
    again = open_data(str(root), DataSettings(val_share=0.2, test_share=0.1), seed=3)
    assert again.fingerprint() == splits.fingerprint()


def test_the_first_n_of_a_folder_keep_the_shares_of_its_classes(picture_folder):
    splits = open_data(str(picture_folder(cats=40, dogs=20)), DataSettings(first=12), seed=0)
    assert splits.train.class_counts() == [8, 4]
