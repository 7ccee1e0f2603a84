"""Data by name: a subset of the classes, and what is said of names and classes that are not known."""

from __future__ import annotations

import pytest
import torch

from striate.core.errors import DataError, SettingsError
from striate.core.settings import DataSettings
from striate.data.sources import load_data, open_data
from striate.data.sources.cifar import CLASSES

from .cifar_files import write_cifar

pytestmark = pytest.mark.usefixtures("nothing_on_this_machine")


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


@pytest.mark.parametrize("subset", ["3", "3,3", ",3,"])
def test_a_subset_of_one_class_is_refused(subset):
    with pytest.raises(SettingsError, match="two"):
        load_data(f"digits:{subset}", DataSettings())


@pytest.mark.parametrize("subset", ["3,brid", "seven"])
def test_unknown_classes_are_named_with_the_known_ones(subset):
    with pytest.raises(SettingsError) as caught:
        load_data(f"digits:{subset}", DataSettings())
    assert subset.split(",")[-1] in str(caught.value)
    assert all(str(digit) in caught.value.fix for digit in range(10))


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


def test_a_folder_named_like_a_data_set_is_spoken_of(picture_folder, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    root.rename(root.with_name("digits"))
    monkeypatch.chdir(root.parent)
    assert any("./digits" in note for note in open_data("digits", DataSettings(), 0).notes)
    assert open_data("./digits", DataSettings(), 0).classes == ("cats", "dogs")
