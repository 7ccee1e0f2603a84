"""The cache of decoded pictures: equal to decoding them, and never stale."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data import cache
from striate.data.sources.folder import load_folder
from striate.deploy.labelled import read_labelled

from .kept_pictures import entry_of, pixels

pytestmark = pytest.mark.usefixtures("kept")
PLAIN = DataSettings()


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


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in [folder, *folder.rglob("*")]
    }


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


def test_evaluation_reads_the_same_cache(picture_folder, decoded) -> None:
    root = picture_folder(cats=3, dogs=3)
    spec = ImageSpec(channels=3, height=16, width=16, classes=("cats", "dogs"), mean=(0.5,) * 3, std=(0.5,) * 3)
    trained = load_folder(root, PLAIN).train
    measured = read_labelled(root, spec).pictures
    assert len(decoded) == 6
    assert torch.equal(measured.images, trained.images)
    assert list(measured.names) == list(trained.names)


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


def test_the_folder_dot_and_renamed_classes_are_told_apart(picture_folder, monkeypatch) -> None:
    root = picture_folder(cats=2, dogs=2)
    monkeypatch.chdir(root)
    assert load_folder(Path("."), PLAIN).classes == ("cats", "dogs")
    (root / "cats").rename(root / "bats")
    (root / "dogs").rename(root / "cats")  # the files keep their times of change
    splits = load_folder(Path("."), PLAIN)
    assert np.array_equal(splits.train.images.numpy(), pixels(root, splits.train.names))
    assert splits.train.names[0] == "bats/000.png"


def test_another_decoder_decodes_anew(picture_folder, decoded, monkeypatch) -> None:
    root = picture_folder(cats=2, dogs=2)
    load_folder(root, PLAIN)
    monkeypatch.setattr(cache, "DECODER", cache.DECODER + 1)
    load_folder(root, PLAIN)
    assert len(decoded) == 8


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
