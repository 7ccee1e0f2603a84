"""Data sets by name: digits, MNIST's idx files, CIFAR's pickles, class subsets, and what is said offline."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections import Counter
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
import torch
import torchvision.datasets
import torchvision.datasets.mnist
from PIL import Image

import striate.data.find
from striate.core.errors import DataError, ResourceError, SettingsError
from striate.core.settings import DataSettings
from striate.data.sources import SOURCES, load_data, open_data
from striate.data.sources.cifar import CLASSES, TEST, TRAIN, read_batch
from striate.data.sources.mnist import read_idx


@pytest.fixture(autouse=True)
def nothing_on_this_machine(tmp_path, monkeypatch, request):
    """Look nowhere but in the test's own folder."""
    if "real_data" in request.fixturenames:
        return
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    monkeypatch.setattr(striate.data.find, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(striate.data.find, "CACHE", tmp_path / "cache")

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        monkeypatch.setattr(torchvision.datasets, name, unreachable)


# scikit-learn's digits


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


def test_a_fifth_of_the_digits_is_the_test_part_whatever_the_seed():
    first, second = (open_data("digits", DataSettings(), seed) for seed in (0, 1))
    assert list(first.test.names) == list(second.test.names)
    assert list(first.val.names) != list(second.val.names)
    assert len(first.test) == pytest.approx(1797 / 5, abs=5)
    names = [set(part.names) for part in first.parts().values()]
    assert len(set.union(*names)) == sum(map(len, names)) == 1797


def test_a_named_data_set_is_brought_to_the_size_and_channels_asked_for():
    plain = load_data("digits", DataSettings())
    resized = load_data("digits", DataSettings(img_size=20, channels=3, interpolation="bicubic"))
    assert resized.train.input_shape == resized.test.input_shape == (3, 20, 20)
    assert torch.equal(resized.train.labels, plain.train.labels)
    picture = Image.fromarray(plain.train.images[5, 0].numpy()).convert("RGB")
    expected = np.asarray(picture.resize((20, 20), Image.Resampling.BICUBIC))
    assert np.array_equal(resized.train.images[5].permute(1, 2, 0).numpy(), expected)


# idx files


def idx(array: np.ndarray) -> bytes:
    """Return an idx file of unsigned bytes, by the format's description."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 3), (0,), (1, 1, 1)])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read_plain_and_gzipped(tmp_path, shape, zipped):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / ("x-ubyte.gz" if zipped else "x-ubyte")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    assert np.array_equal(read_idx(path), array)


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


def write_mnist(folder: Path, suffix: str = "", train: int = 20, test: int = 10) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": (np.arange(train) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": (np.arange(test) % 10).astype(np.uint8),
    }
    for name, array in arrays.items():
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(idx(array)) if suffix else idx(array))
    return arrays


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


# CIFAR-10's batches


def python2_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """Return the bytes that Python 2 wrote for a CIFAR batch: protocol 2, byte strings, numpy.core by name."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
        b"(" + number(1) + number(len(pixels)) + number(3072) + b"\x86"
        b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
        b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        b"\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    )
    return (
        b"\x80\x02}("
        + text(b"batch_label") + text(b"training batch 1 of 5")
        + text(b"labels") + b"](" + b"".join(map(number, labels)) + b"e"
        + text(b"data") + array
        + text(b"filenames") + b"](" + b"".join(text(b"x_%d.png" % i) for i in range(len(labels))) + b"e"
        + b"u."
    )  # fmt: skip


def python3_pickle(pixels: np.ndarray, labels: list[int], protocol: int = 2) -> bytes:
    content = {b"data": pixels, b"labels": labels, b"batch_label": b"x", b"filenames": [b"x.png"] * len(labels)}
    return pickle.dumps(content, protocol)


def batch_arrays(seed: int, count: int = 20) -> tuple[np.ndarray, list[int]]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return pixels, [(i + seed) % 10 for i in range(count)]


def write_cifar(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate(TRAIN + TEST):
        (folder / name).write_bytes(python2_pickle(*batch_arrays(seed)))


@pytest.mark.parametrize("write", [python2_pickle, python3_pickle, lambda *content: python3_pickle(*content, 4)])
def test_a_cifar_batch_is_read_in_row_order_red_green_blue(tmp_path, write):
    pixels, labels = batch_arrays(0)
    path = tmp_path / "data_batch_1"
    path.write_bytes(write(pixels, labels))
    content = pickle.loads(path.read_bytes(), encoding="bytes")  # the file is what Python itself takes it for
    assert np.array_equal(content[b"data"], pixels)
    images, ours = read_batch(path)
    assert ours.tolist() == labels
    # "the first 1024 entries contain the red channel values …, stored in row-major order" (Krizhevsky)
    for channel, row, column in [(0, 0, 0), (0, 0, 31), (1, 2, 3), (2, 31, 31)]:
        assert images[7, channel, row, column] == pixels[7, 1024 * channel + 32 * row + column]


@pytest.mark.parametrize("layout", ["cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10"])
def test_a_cifar_tree_is_loaded_with_its_batches_in_order(tmp_path, layout):
    write_cifar(tmp_path / "data" / layout)
    splits = load_data("cifar10", DataSettings(data_dir=tmp_path / "data"))
    assert splits.classes == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    expected = np.concatenate([batch_arrays(seed)[0] for seed in range(5)]).reshape(-1, 3, 32, 32)
    assert np.array_equal(splits.train.images.numpy(), expected)
    assert splits.train.labels.tolist() == [label for seed in range(5) for label in batch_arrays(seed)[1]]
    assert splits.test.labels.tolist() == batch_arrays(5)[1]
    assert splits.mirror_safe


class Touch:
    """A pickle of this creates a file when it is loaded carelessly."""

    def __init__(self, canary: Path, how: str) -> None:
        self.canary, self.how = str(canary), how

    def __reduce__(self) -> tuple[object, ...]:
        return {
            "mkdir": (os.mkdir, (self.canary,)),
            "eval": (eval, (f"open({self.canary!r}, 'w').close()",)),
            "exec": (exec, (f"open({self.canary!r}, 'w').close()",)),
            "system": (os.system, (f"touch '{self.canary}'",)),
            "numpy": (np.savetxt, (self.canary, [1.0])),
            "memmap": (np.memmap, (self.canary, "u1", "w+", 0, (4,))),
        }[self.how]


@pytest.mark.parametrize("how", ["mkdir", "eval", "exec", "system", "numpy", "memmap"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_pickle_in_place_of_a_batch_is_refused_and_not_executed(tmp_path, how, protocol):
    canary = tmp_path / "canary"
    write_cifar(tmp_path / "data" / "cifar10")
    pixels, labels = batch_arrays(0)
    path = tmp_path / "data" / "cifar10" / "data_batch_3"
    content = {b"data": pixels, b"labels": labels, b"extra": Touch(canary, how)}
    path.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(DataError, match="data_batch_3"):
        load_data("cifar10", DataSettings(data_dir=tmp_path / "data"))
    assert not canary.exists()
    pickle.loads(path.read_bytes())  # the bait is live
    assert canary.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", pickle.dumps([1, 2]), pickle.dumps({b"data": 1}), python2_pickle(*batch_arrays(0))[:-500],
     python3_pickle(np.zeros((4, 3071), np.uint8), [0] * 4), python3_pickle(np.zeros((4, 3072), np.uint8), [0] * 3)],
)  # fmt: skip
def test_damaged_cifar_batches_are_refused_by_name(tmp_path, content):
    path = tmp_path / "data_batch_2"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_batch(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


# Names


def test_a_class_subset_is_relabelled_in_the_order_given(tmp_path):
    write_cifar(tmp_path / "data" / "cifar10")
    settings = DataSettings(data_dir=tmp_path / "data")
    whole, subset = load_data("cifar10", settings), load_data("cifar10:bird, airplane", settings)
    assert subset.classes == ("bird", "airplane")
    for part in ("train", "test"):
        before, after = whole.parts()[part], subset.parts()[part]
        old = before.labels
        kept = ((old == CLASSES.index("bird")) | (old == CLASSES.index("airplane"))).nonzero().flatten()
        assert list(after.names) == [before.names[i] for i in kept]
        assert torch.equal(after.images, before.images[kept])
        assert after.labels.tolist() == [0 if CLASSES[i] == "bird" else 1 for i in old[kept]]


@pytest.mark.parametrize("subset", ["3,brid", "seven"])
def test_unknown_classes_are_named_with_the_known_ones(subset):
    with pytest.raises(SettingsError) as caught:
        load_data(f"digits:{subset}", DataSettings())
    assert subset.split(",")[-1] in str(caught.value)
    assert all(str(digit) in caught.value.fix for digit in range(10))


@pytest.mark.parametrize("subset", ["3", "3,3", ",3,"])
def test_a_subset_of_one_class_is_refused(subset):
    with pytest.raises(SettingsError, match="two"):
        load_data(f"digits:{subset}", DataSettings())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("mnits", "mnist"), ("fashionmnist", "fashion-mnist"), ("cifar-10", "cifar10"), ("digit", "digits")],
)
def test_an_unknown_name_gets_a_suggestion(typed, meant):
    with pytest.raises(DataError) as caught:
        load_data(typed, DataSettings())
    assert typed in str(caught.value)
    assert f"'{meant}'" in caught.value.fix


def test_a_name_like_nothing_known_gets_the_list():
    with pytest.raises(DataError) as caught:
        load_data("qqqqqqqq", DataSettings())
    assert "did you mean" not in caught.value.fix
    assert all(name in caught.value.fix for name in ("cifar10", "digits", "fashion-mnist", "mnist"))


# Without a network


@pytest.mark.parametrize(
    ("name", "kind"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("cifar10", "CIFAR10")]
)
@pytest.mark.parametrize("failure", [URLError("unreachable"), OSError("disk on fire"), TimeoutError("slow")])
def test_offline_the_error_lists_exactly_the_files_that_would_help(tmp_path, monkeypatch, name, kind, failure):
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(torchvision.datasets, kind, fail)
    root = tmp_path / "data"
    with pytest.raises(ResourceError) as caught:
        load_data(name, DataSettings(data_dir=root))
    assert caught.value.exit_code == 6
    assert str(failure) in str(caught.value)
    listed = [Path(line.strip()) for line in caught.value.fix.splitlines()[1:]]
    assert all(path.is_relative_to(root) for path in listed)
    # the proof that the list is right: files put there are found
    if name == "cifar10":
        write_cifar(listed[0].parent)
    else:
        write_mnist(listed[0].parent)
    assert sorted(path for path in root.rglob("*") if path.is_file()) == sorted(listed)
    assert len(load_data(name, DataSettings(data_dir=root)).train) > 0


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mirrors_out_of_reach_are_no_damaged_download(tmp_path, monkeypatch, name):
    monkeypatch.undo()
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    monkeypatch.setattr(striate.data.find, "DEBIAN", tmp_path / "debian")

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", unreachable)
    with pytest.raises(ResourceError, match="no route to host"):
        load_data(name, DataSettings(data_dir=tmp_path / "data"))


def test_a_download_with_a_wrong_checksum_is_a_data_error(tmp_path, monkeypatch):
    def corrupted(*_: object, **__: object) -> None:
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", corrupted)
    with pytest.raises(DataError, match="damaged"):
        load_data("cifar10", DataSettings(data_dir=tmp_path / "data"))


def test_what_is_missing_is_fetched_into_the_folder_asked_for(tmp_path, monkeypatch):
    def fetch(root: Path, download: bool) -> None:
        assert download
        write_mnist(Path(root) / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    assert len(load_data("mnist", DataSettings(data_dir=tmp_path / "data")).train) == 20
    assert len(load_data("mnist", DataSettings()).train) == 20
    assert (tmp_path / "cache" / "MNIST" / "raw").is_dir()


# Real data, published numbers


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
