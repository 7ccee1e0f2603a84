"""The cache of decoded pictures: equal to decoding, never stale, never trusted blindly, never needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.core import memory
from striate.core.errors import DataError, ResourceError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data import cache
from striate.data.sources import open_data
from striate.data.sources.folder import load_folder
from striate.deploy.labelled import read_labelled

PLAIN = DataSettings()


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """Keep every folder, however small, in a cache of this test's own; return its place."""
    monkeypatch.setattr(cache, "WORTH", 0.0)
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Return the list of all files decoded from here on."""
    seen: list[str] = []
    into = cache.Decoders.into

    def noted(self, paths, out):
        seen.extend(paths)
        return into(self, paths, out)

    monkeypatch.setattr(cache.Decoders, "into", noted)
    return seen


def entry_of(kept: Path) -> Path:
    (entry,) = kept.iterdir()
    return entry


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in [folder, *folder.rglob("*")]
    }


def pixels(root: Path, names) -> np.ndarray:
    return np.stack([np.asarray(Image.open(root / name).convert("RGB")).transpose(2, 0, 1) for name in names])


def test_a_later_run_decodes_nothing_and_sees_the_same_pixels(picture_folder, kept, decoded, monkeypatch) -> None:
    root = picture_folder(cats=5, dogs=4)
    monkeypatch.setattr(cache, "_BLOCK", 2 * 16 * 16 * 3)  # two pictures a block
    before = state(root)
    first = load_folder(root, PLAIN)
    assert len(decoded) == 9
    second = load_folder(root, PLAIN)
    assert len(decoded) == 9
    for splits in (first, second):
        assert np.array_equal(splits.train.images.numpy(), pixels(root, splits.train.names))
    assert first.fingerprint() == second.fingerprint()
    assert list(first.files) == list(second.files)
    assert state(root) == before
    assert entry_of(kept).stat().st_mode & 0o077 == 0  # the pictures may be private


def test_each_form_of_the_pictures_is_kept_by_itself(picture_folder, kept) -> None:
    root = picture_folder(side=20, cats=3, dogs=3)
    ways = [
        {},
        {"img_size": 16},
        {"channels": 1},
        {"img_size": 16, "resize": "pad"},
        {"img_size": 16, "interpolation": "box"},
    ]
    for _ in range(2):
        for way in ways:
            asked = DataSettings(**way)
            train = load_folder(root, asked).train
            assert train.input_shape == (way.get("channels", 3), way.get("img_size", 20), way.get("img_size", 20))
    assert len(list(kept.iterdir())) == len(ways)


def test_the_folder_dot_and_renamed_classes_are_told_apart(picture_folder, monkeypatch) -> None:
    root = picture_folder(cats=2, dogs=2)
    monkeypatch.chdir(root)
    assert load_folder(Path("."), PLAIN).classes == ("cats", "dogs")
    (root / "cats").rename(root / "bats")
    (root / "dogs").rename(root / "cats")  # the files keep their times of change
    splits = load_folder(Path("."), PLAIN)
    assert np.array_equal(splits.train.images.numpy(), pixels(root, splits.train.names))
    assert splits.train.names[0] == "bats/000.png"


CHANGES = ("content", "same size and time", "added", "removed", "touched", "swapped", "link")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 3)), min_size=1, max_size=4))
def test_after_any_change_of_any_file_the_pixels_are_those_of_the_files(picture_folder, tmp_path, changes) -> None:
    shutil.rmtree(tmp_path / "photos", ignore_errors=True)
    root = picture_folder(cats=4, dogs=3)
    load_folder(root, PLAIN)
    for number, (change, which) in enumerate(changes):
        path = sorted((root / "cats").iterdir())[which % len(list((root / "cats").iterdir()))]
        new = Image.fromarray(np.full((16, 16, 3), 40 * number + which, np.uint8))
        if change == "content":
            new.save(path)
        elif change == "same size and time":
            status, data = path.stat(), bytearray(path.read_bytes())
            new.save(path)
            fresh = path.read_bytes()
            path.write_bytes(fresh + bytes(max(0, len(data) - len(fresh))))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif change == "added":
            new.save(root / "cats" / f"new{number}.png")
        elif change == "removed" and len(list((root / "cats").iterdir())) > 2:
            path.unlink()
        elif change == "touched":
            path.touch()
        elif change == "swapped":
            other = root / "dogs" / "000.png"
            path.rename(root / "x")
            other.rename(path)
            (root / "x").rename(other)
        elif change == "link" and not path.is_symlink():
            new.save(tmp_path / f"elsewhere{number}.png")
            path.unlink()
            path.symlink_to(tmp_path / f"elsewhere{number}.png")
        train = load_folder(root, PLAIN).train
        assert np.array_equal(train.images.numpy(), pixels(root, train.names))


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


def test_another_decoder_decodes_anew(picture_folder, decoded, monkeypatch) -> None:
    root = picture_folder(cats=2, dogs=2)
    load_folder(root, PLAIN)
    monkeypatch.setattr(cache, "DECODER", cache.DECODER + 1)
    load_folder(root, PLAIN)
    assert len(decoded) == 8


def test_what_is_written_to_the_pictures_stays_in_this_process(picture_folder, kept) -> None:
    root = picture_folder(cats=3, dogs=3)
    for _ in range(2):
        train = load_folder(root, PLAIN).train
        before = hashlib.sha256(entry_of(kept).read_bytes()).hexdigest()
        train.images.zero_()
        assert hashlib.sha256(entry_of(kept).read_bytes()).hexdigest() == before
        assert load_folder(root, PLAIN).train.images.any()


def test_bad_pictures_are_told_alike_with_and_without_the_cache(picture_folder, decoded) -> None:
    root = picture_folder(cats=5, dogs=5)
    (root / "cats" / "001.png").write_bytes(b"")
    (root / "cats" / "003.png").write_bytes((root / "cats" / "003.png").read_bytes()[:200])
    (root / "dogs" / "002.png").write_text("<html>not found</html>")
    messages = set()
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            load_folder(root, PLAIN)
        messages.add(str(caught.value))
    ledgers = [load_folder(root, DataSettings(skip_bad=True)) for _ in range(2)]
    assert len(messages) == 1
    assert len(decoded) == 10
    assert list(ledgers[0].files) == list(ledgers[1].files)
    assert ledgers[1].train.class_counts() == [3, 4]
    assert np.array_equal(ledgers[1].train.images.numpy(), pixels(root, ledgers[1].train.names))


def test_a_picture_that_could_not_be_read_this_time_is_tried_again(picture_folder, kept, monkeypatch) -> None:
    root = picture_folder(cats=3, dogs=3)
    opened = os.open

    def failing(path, *rest, **named):
        if str(path).endswith("cats/001.png"):
            raise OSError(5, "Input/output error")
        return opened(path, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        assert load_folder(root, DataSettings(skip_bad=True)).train.class_counts() == [2, 3]
    assert load_folder(root, PLAIN).train.class_counts() == [3, 3]


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


def test_several_at_once_are_all_right(picture_folder, kept) -> None:
    root = picture_folder(cats=10, dogs=10)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: load_folder(root, PLAIN).train, range(8)))
    assert all(np.array_equal(part.images.numpy(), pixels(root, part.names)) for part in parts)
    assert entry_of(kept).suffix == ".pixels"


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


def test_the_limit_is_a_share_of_the_free_disk_or_ten_gibibytes(kept, monkeypatch) -> None:
    usage = shutil.disk_usage("/")
    for free, limit in ((2**40, 10 * 2**30), (10 * 2**30, 2**30)):
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert cache.size_limit(kept) == limit


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


def test_small_folders_are_not_kept(picture_folder, kept, monkeypatch) -> None:
    monkeypatch.undo()
    load_folder(picture_folder(cats=3, dogs=3), PLAIN)
    assert not kept.exists()


def test_evaluation_reads_the_same_cache(picture_folder, decoded) -> None:
    root = picture_folder(cats=3, dogs=3)
    spec = ImageSpec(channels=3, height=16, width=16, classes=("cats", "dogs"), mean=(0.5,) * 3, std=(0.5,) * 3)
    trained = load_folder(root, PLAIN).train
    measured = read_labelled(root, spec).pictures
    assert len(decoded) == 6
    assert torch.equal(measured.images, trained.images)
    assert list(measured.names) == list(trained.names)


def test_the_place_follows_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "cache" / "pictures"
    monkeypatch.delenv("STRIATE_CACHE")
    assert cache.cache_folder() == tmp_path / "xdg" / "striate" / "pictures"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "striate" / "pictures"
    assert cache.describe_cache()["size_gib"] == 0
