"""Data by name: a subset of the classes, and what is said of names and classes that are not known."""

from __future__ import annotations

from striate.core.settings import DataSettings
from striate.data.sources import open_data


def test_a_folder_named_like_a_data_set_is_spoken_of(picture_folder, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    root.rename(root.with_name("digits"))
    monkeypatch.chdir(root.parent)
    assert any("./digits" in note for note in open_data("digits", DataSettings(), 0).notes)
    assert open_data("./digits", DataSettings(), 0).classes == ("cats", "dogs")
