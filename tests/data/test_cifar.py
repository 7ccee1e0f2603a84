"""CIFAR-10's pickled batches: read as Python reads them, but never executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.data.sources import load_data
from striate.data.sources.cifar import read_batch

from .cifar_files import batch_arrays, python2_pickle, write_cifar

pytestmark = pytest.mark.usefixtures("nothing_on_this_machine")


def python3_pickle(pixels: np.ndarray, labels: list[int], protocol: int = 2) -> bytes:
    content = {b"data": pixels, b"labels": labels, b"batch_label": b"x", b"filenames": [b"x.png"] * len(labels)}
    return pickle.dumps(content, protocol)


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
