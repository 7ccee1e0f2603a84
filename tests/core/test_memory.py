"""Memory is asked for before it is taken."""

from __future__ import annotations

import pytest

from striate.core import memory
from striate.core.errors import ResourceError
from striate.core.settings import DataSettings
from striate.data.sources import load_data


def test_free_memory_is_some_of_this_machines() -> None:
    free = memory.free_memory()
    assert free is None or 0 < free < 2**50


def test_what_does_not_fit_is_refused_with_need_and_remedy(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 2**30)
    memory.require_memory(2**30, "pictures", where="here", fix="--img-size 8")
    with pytest.raises(ResourceError, match=r"need 2.0 GiB .* 1.0 GiB are free") as caught:
        memory.require_memory(2**31, "pictures", where="here", fix="--img-size 8")
    assert caught.value.exit_code == 6
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    memory.require_memory(2**60, "pictures", where="here", fix="--img-size 8")


def test_pictures_enlarged_beyond_the_memory_are_refused_before_they_are_made(monkeypatch, picture_folder) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match="2048"):
        load_data("digits", DataSettings(img_size=2048))
    with pytest.raises(ResourceError, match="512"):
        load_data(str(picture_folder(cats=3, dogs=3)), DataSettings(img_size=512))
