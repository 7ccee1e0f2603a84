"""scikit-learn's digits, as a data set by name."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image

from striate.core.settings import DataSettings
from striate.data.sources import load_data, open_data


def test_digits_are_scikit_learns_pictures_and_labels():
    theirs = sklearn.datasets.load_digits()
    expected = Counter(
        (np.round(image * 255 / 16).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(theirs.images, theirs.target, strict=True)
    )
    splits = load_data("digits", DataSettings())
    ours = Counter(
        (image.numpy().tobytes(), label)
        for part in splits.parts().values()
        for image, label in zip(part.images, part.labels.tolist(), strict=True)
    )
    assert ours == expected
    assert splits.train.input_shape == (1, 8, 8)
    assert not splits.mirror_safe


def test_a_named_data_set_is_brought_to_the_size_and_channels_asked_for():
    plain = load_data("digits", DataSettings())
    resized = load_data("digits", DataSettings(img_size=20, channels=3, interpolation="bicubic"))
    assert resized.train.input_shape == resized.test.input_shape == (3, 20, 20)
    assert torch.equal(resized.train.labels, plain.train.labels)
    picture = Image.fromarray(plain.train.images[5, 0].numpy()).convert("RGB")
    expected = np.asarray(picture.resize((20, 20), Image.Resampling.BICUBIC))
    assert np.array_equal(resized.train.images[5].permute(1, 2, 0).numpy(), expected)


def test_a_fifth_of_the_digits_is_the_test_part_whatever_the_seed():
    first, second = (open_data("digits", DataSettings(), seed) for seed in (0, 1))
    assert list(first.test.names) == list(second.test.names)
    assert list(first.val.names) != list(second.val.names)
    assert len(first.test) == pytest.approx(1797 / 5, abs=5)
    names = [set(part.names) for part in first.parts().values()]
    assert len(set.union(*names)) == sum(map(len, names)) == 1797
