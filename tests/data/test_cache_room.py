"""Where the cache lies and how much it may hold; without room for it, work goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from striate.core import memory
from striate.core.errors import ResourceError
from striate.core.settings import DataSettings
from striate.data import cache
from striate.data.sources import open_data
from striate.data.sources.folder import load_folder

from .kept_pictures import pixels

pytestmark = pytest.mark.usefixtures("kept")
PLAIN = DataSettings()


def test_the_place_follows_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "cache" / "pictures"
    monkeypatch.delenv("STRIATE_CACHE")
    assert cache.cache_folder() == tmp_path / "xdg" / "striate" / "pictures"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "striate" / "pictures"
    assert cache.describe_cache()["size_gib"] == 0


def test_small_folders_are_not_kept(picture_folder, kept, monkeypatch) -> None:
    monkeypatch.undo()
    load_folder(picture_folder(cats=3, dogs=3), PLAIN)
    assert not kept.exists()


def unwritable(kept: Path, how: str, monkeypatch) -> None:
    if how == "a file in its place":
        kept.parent.parent.mkdir(parents=True, exist_ok=True)
        kept.parent.write_text("")
    elif how == "read-only":
        monkeypatch.setattr(cache.tempfile, "mkstemp", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    elif how == "full disk":
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=100))
    elif how == "full while writing":
        monkeypatch.setattr(cache, "_write_all", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    elif how == "no home":
        monkeypatch.setattr(cache, "cache_folder", lambda: None)


@pytest.mark.parametrize("how", ["a file in its place", "read-only", "full disk", "full while writing", "no home"])
def test_without_a_place_for_the_cache_work_goes_on_with_one_note(picture_folder, kept, monkeypatch, how) -> None:
    root = picture_folder(cats=3, dogs=3)
    unwritable(kept, how, monkeypatch)
    splits = load_folder(root, PLAIN)
    assert np.array_equal(splits.train.images.numpy(), pixels(root, splits.train.names))
    assert [note for note in splits.notes if "not kept for the next run" in note] == list(splits.notes)
    assert len(splits.notes) == 1
    assert not kept.is_dir() or not list(kept.iterdir())


def test_the_limit_is_a_share_of_the_free_disk_or_ten_gibibytes(kept, monkeypatch) -> None:
    usage = shutil.disk_usage("/")
    for free, limit in ((2**40, 10 * 2**30), (10 * 2**30, 2**30)):
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert cache.size_limit(kept) == limit


def test_the_least_recently_used_are_removed_beyond_the_limit_but_never_the_one_in_use(
    picture_folder, kept, monkeypatch
) -> None:
    roots = [picture_folder(root=f"photos{i}", cats=3, dogs=3) for i in range(4)]
    for number, root in enumerate(roots[:3]):
        load_folder(root, PLAIN)
        for path, _ in cache.entries(kept):
            os.utime(path, (100 + number, 100 + number)) if path.stat().st_mtime > 1000 else None
    load_folder(roots[0], PLAIN)  # the oldest is used again
    size = max(status.st_size for _, status in cache.entries(kept))
    monkeypatch.setattr(cache, "LIMIT", 3 * size)
    used = {path for path, status in cache.entries(kept) if status.st_mtime > 1000}
    load_folder(roots[3], PLAIN)
    left = [path for path, _ in cache.entries(kept)]
    assert len(left) == 3
    assert used < set(left)
    monkeypatch.setattr(cache, "LIMIT", 1)
    load_folder(picture_folder(root="more", cats=2, dogs=2), PLAIN)
    assert len(list(kept.iterdir())) == 1


def test_pictures_larger_than_the_memory_are_mapped_and_what_must_be_copied_is_asked_for(
    picture_folder, monkeypatch
) -> None:
    picture_folder()
    for part in ("train", "val", "test"):
        picture_folder(root=f"photos/{part}", cats=3, dogs=3)
    root = picture_folder()
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    monkeypatch.setattr("striate.data.dataset._LARGE", 0)
    splits = open_data(str(root), PLAIN, 0)
    assert np.array_equal(splits.val.images.numpy(), pixels(root, splits.val.names))
    with pytest.raises(ResourceError, match="chosen"):
        open_data(str(root / "train"), PLAIN, 0)
