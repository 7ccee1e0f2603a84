"""MNIST and Fashion-MNIST: their idx files, where they are found, and their published numbers."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torchvision.datasets

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.data.sources import SOURCES, load_data
from striate.data.sources.mnist import read_idx

from .mnist_files import idx, write_mnist

pytestmark = pytest.mark.usefixtures("nothing_on_this_machine")


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 3), (0,), (1, 1, 1)])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read_plain_and_gzipped(tmp_path, shape, zipped):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / ("x-ubyte.gz" if zipped else "x-ubyte")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    assert np.array_equal(read_idx(path), array)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("layout", ["{name}", "{kind}/raw", "{name}/{kind}/raw"])
def test_mnist_is_found_in_the_usual_layouts(tmp_path, name, suffix, layout):
    kind = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    arrays = write_mnist(tmp_path / "data" / layout.format(name=name, kind=kind), suffix)
    splits = load_data(name, DataSettings(data_dir=tmp_path / "data"))
    assert np.array_equal(splits.train.images[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert np.array_equal(splits.test.images[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"])
    assert splits.train.labels.tolist() == arrays["train-labels-idx1-ubyte"].tolist()
    assert splits.test.names[3] == f"{name}/test/3"
    assert splits.mirror_safe == (name == "fashion-mnist")


def test_fashion_mnist_is_not_mistaken_for_mnist(tmp_path):
    write_mnist(tmp_path / "data" / "fashion-mnist")
    assert SOURCES["fashion-mnist"].find(tmp_path / "data")
    assert SOURCES["mnist"].find(tmp_path / "data") is None


def test_the_order_of_search_is_asked_for_then_environment_then_debian_then_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "environment"))
    roots = [tmp_path / name for name in ("cache", "debian", "environment", "asked")]
    for root in roots:  # each found goes before all that were there already
        write_mnist(root / "mnist")
        assert SOURCES["mnist"].find(tmp_path / "asked") == root / "mnist"


GOOD = idx(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
BAD_IDX = {
    "truncated": GOOD[:-1],
    "too-long": GOOD + b"\0",
    "half-a-header": GOOD[:9],
    "magic-only": GOOD[:4],
    "wrong-magic": b"\x01" + GOOD[1:],
    "of-floats": GOOD[:2] + b"\x0d" + GOOD[3:],
    "more-axes-than-bytes": GOOD[:3] + b"\xff" + GOOD[4:],
    "empty": b"",
    "page": b"<html>moved</html>",
    "not-gzip.gz": GOOD,
    "truncated.gz": gzip.compress(GOOD)[:-12],
    "damaged.gz": gzip.compress(GOOD)[:10] + b"\xff" + gzip.compress(GOOD)[11:],  # no such kind of block
    "wrong-checksum.gz": gzip.compress(GOOD)[:-8] + b"\0\0\0\0" + gzip.compress(GOOD)[-4:],
}


@pytest.mark.parametrize("name", BAD_IDX)
def test_damaged_idx_files_are_refused_by_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD_IDX[name])
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_pictures_and_labels_of_different_number_are_refused(tmp_path):
    folder = tmp_path / "data" / "mnist"
    write_mnist(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, dtype=np.uint8)))
    with pytest.raises(DataError, match="mnist"):
        load_data("mnist", DataSettings(data_dir=tmp_path / "data"))


def test_a_label_beyond_the_classes_is_refused_by_the_pictures_name(tmp_path):
    folder = tmp_path / "data" / "mnist"
    write_mnist(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([0, 1, 2, 10, 4, 5, 6, 7, 8, 9], dtype=np.uint8)))
    with pytest.raises(DataError, match="mnist/test/3"):
        load_data("mnist", DataSettings(data_dir=tmp_path / "data"))


def test_mnist_has_its_published_counts_and_statistics(real_data):
    splits = load_data("mnist", DataSettings(data_dir=real_data("mnist").parent))
    assert splits.train.images.shape == (60_000, 1, 28, 28)
    assert splits.test.images.shape == (10_000, 1, 28, 28)
    assert splits.train.class_counts() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert splits.test.class_counts() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean, std = splits.train.mean_std()
    assert mean[0] == pytest.approx(0.1307, abs=5e-5)
    assert std[0] == pytest.approx(0.3081, abs=5e-5)


def test_fashion_mnist_has_its_published_counts_and_statistics(real_data):
    splits = load_data("fashion-mnist", DataSettings(data_dir=real_data("fashion-mnist").parent))
    assert splits.train.class_counts() == [6000] * 10
    assert splits.test.class_counts() == [1000] * 10
    assert splits.classes == tuple(torchvision.datasets.FashionMNIST.classes)
    mean, std = splits.train.mean_std()
    assert mean[0] == pytest.approx(0.2860, abs=5e-5)
    assert std[0] == pytest.approx(0.3530, abs=5e-5)
