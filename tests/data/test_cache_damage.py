"""The cache is never trusted blindly: whatever happens to it or beside it, the pixels are right."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.core.settings import DataSettings
from striate.data import cache
from striate.data.sources.folder import load_folder

from .kept_pictures import entry_of, pixels

pytestmark = pytest.mark.usefixtures("kept")
PLAIN = DataSettings()


def test_several_at_once_are_all_right(picture_folder, kept) -> None:
    root = picture_folder(cats=10, dogs=10)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: load_folder(root, PLAIN).train, range(8)))
    assert all(np.array_equal(part.images.numpy(), pixels(root, part.names)) for part in parts)
    assert entry_of(kept).suffix == ".pixels"


def test_what_is_written_to_the_pictures_stays_in_this_process(picture_folder, kept) -> None:
    root = picture_folder(cats=3, dogs=3)
    for _ in range(2):
        train = load_folder(root, PLAIN).train
        before = hashlib.sha256(entry_of(kept).read_bytes()).hexdigest()
        train.images.zero_()
        assert hashlib.sha256(entry_of(kept).read_bytes()).hexdigest() == before
        assert load_folder(root, PLAIN).train.images.any()


def test_a_change_while_the_folder_is_decoded_is_not_kept(picture_folder, kept, monkeypatch) -> None:
    root = picture_folder(cats=3, dogs=3)
    into = cache.Decoders.into

    def slow(self, paths, out):
        errors = into(self, paths, out)
        Image.new("RGB", (16, 16)).save(paths[0])
        os.utime(paths[0], (1, 1))
        return errors

    monkeypatch.setattr(cache.Decoders, "into", slow)
    assert load_folder(root, PLAIN).train.images[0].any()
    assert not list(kept.iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(cache, "WORTH", 0.0)
    assert not load_folder(root, PLAIN).train.images[0].any()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), damage=st.sampled_from(["bit", "short", "long", "empty", "folder"]))
def test_damage_anywhere_is_noticed_and_repaired(picture_folder, kept, place, damage) -> None:
    root = picture_folder(cats=2, dogs=2)
    shutil.rmtree(kept, ignore_errors=True)
    good = load_folder(root, PLAIN).fingerprint()
    entry = entry_of(kept)
    whole = entry.read_bytes()
    at = int(place * len(whole))
    flipped = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
    entry.write_bytes({"bit": flipped, "short": whole[:at], "long": whole + b"x"}.get(damage, b""))
    if damage == "folder":
        entry.unlink()
        entry.mkdir()
    assert load_folder(root, PLAIN).fingerprint() == good
    if damage != "folder":
        assert entry.read_bytes() == whole
    else:
        entry.rmdir()


@pytest.mark.parametrize("moment", range(7))  # five writes of the file, before its renaming, after it
def test_a_kill_at_any_moment_leaves_nothing_that_is_trusted(picture_folder, kept, monkeypatch, moment) -> None:
    root = picture_folder(cats=4, dogs=4)
    monkeypatch.setattr(cache, "_BLOCK", 2 * 16 * 16 * 3)  # two pictures a block, and the footer
    child = os.fork()
    if child == 0:
        writes = []

        def write(file, data) -> None:
            if len(writes) == moment:
                file.write(data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            writes.append(file.write(data))

        def rename(old, new) -> None:
            if moment == 6:
                os.rename(old, new)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(cache, "_write_all", write)
        monkeypatch.setattr(cache.os, "replace", rename)
        try:
            load_folder(root, PLAIN)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [path.suffix for path in kept.iterdir()] == [".pixels" if moment == 6 else ".unfinished"]
    monkeypatch.setattr(cache, "_STALE", -1.0)  # what is left over is old enough
    train = load_folder(root, PLAIN).train
    assert np.array_equal(train.images.numpy(), pixels(root, train.names))
    assert [path.suffix for path in kept.iterdir()] == [".pixels"]


def test_what_another_process_is_writing_is_left_to_it_however_long_that_takes(picture_folder, kept) -> None:
    kept.mkdir(parents=True)
    unfinished = kept / "another.unfinished"
    with open(unfinished, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(unfinished, (0, 0))
        load_folder(picture_folder(cats=2, dogs=2), PLAIN)
        assert unfinished.exists()
    load_folder(picture_folder(root="more", cats=2, dogs=2), PLAIN)
    assert not unfinished.exists()
