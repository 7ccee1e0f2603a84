"""Data sets that are not on this machine: fetched, or the files named that would help."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torchvision.datasets
import torchvision.datasets.mnist

import striate.data.find
from striate.core.errors import DataError, ResourceError
from striate.core.settings import DataSettings
from striate.data.sources import load_data

from .cifar_files import write_cifar
from .mnist_files import write_mnist

pytestmark = pytest.mark.usefixtures("nothing_on_this_machine")


def test_what_is_missing_is_fetched_into_the_folder_asked_for(tmp_path, monkeypatch):
    def fetch(root: Path, download: bool) -> None:
        assert download
        write_mnist(Path(root) / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    assert len(load_data("mnist", DataSettings(data_dir=tmp_path / "data")).train) == 20
    assert len(load_data("mnist", DataSettings()).train) == 20
    assert (tmp_path / "cache" / "MNIST" / "raw").is_dir()


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
