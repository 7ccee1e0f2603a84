"""Checkpoints: what is damaged is never used, what is whole is never lost."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch

from striate.core.errors import ModelFileError, ResourceError
from striate.runs import atomic, checkpoint
from striate.runs.checkpoint import Checkpoint, load_newest, read_checkpoint, save_checkpoint


def state(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    tensors = {"model/w": torch.randn(7, 5, generator=generator), "sums/n": torch.tensor(step)}
    return Checkpoint(step, tensors, {"epoch": step // 10, "best": None})


def assert_same(found: Checkpoint | None, wanted: Checkpoint) -> None:
    assert found is not None
    assert (found.step, dict(found.state)) == (wanted.step, dict(wanted.state))
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        assert torch.equal(found.tensors[name], tensor)


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(3))
    found, problems = load_newest(tmp_path)
    assert_same(found, state(3))
    assert problems == []


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    for step in (9, 10, 100, 1000):
        save_checkpoint(tmp_path, state(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000100", "step-000001000"]
    assert_same(load_newest(tmp_path)[0], state(1000))


def test_nothing_saved_is_a_fresh_start(tmp_path: Path) -> None:
    assert load_newest(tmp_path / "absent") == (None, [])
    assert load_newest(tmp_path) == (None, [])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("file", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", [truncate, flip_a_bit, remove, empty])
def test_a_damaged_checkpoint_is_named_set_aside_and_the_one_before_is_used(tmp_path, file, damage) -> None:
    save_checkpoint(tmp_path, state(1))
    newest = save_checkpoint(tmp_path, state(2))
    damage(newest / file)
    found, problems = load_newest(tmp_path)
    assert_same(found, state(1))
    assert len(problems) == 1
    assert "step-000000002" in problems[0]
    assert (tmp_path / "step-000000002.bad").is_dir(), "a bad checkpoint is kept for whoever wants to look"
    save_checkpoint(tmp_path, state(2))
    assert_same(load_newest(tmp_path)[0], state(2))


def test_every_single_flipped_bit_of_the_manifest_or_state_is_noticed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, state(1))
    for file in ("state.json", "state.safetensors"):
        whole = (path / file).read_bytes()
        for place in range(0, len(whole), max(len(whole) // 40, 1)):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << (place % 8)
            (path / file).write_bytes(bytes(damaged))
            with pytest.raises(ModelFileError):
                read_checkpoint(path)
        (path / file).write_bytes(whole)
    read_checkpoint(path)


def test_when_all_are_bad_each_is_named_and_nothing_is_deleted(tmp_path: Path) -> None:
    for step in (1, 2):
        flip_a_bit(save_checkpoint(tmp_path, state(step)) / "state.safetensors")
    with pytest.raises(ModelFileError) as caught:
        load_newest(tmp_path)
    assert caught.value.exit_code == 4
    assert "step-000000001" in str(caught.value)
    assert "step-000000002" in str(caught.value)
    assert len(list(tmp_path.glob("*.bad"))) == 2


def test_leftovers_of_a_killed_save_are_never_read_and_are_removed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    whole = save_checkpoint(tmp_path, state(2))
    whole.rename(tmp_path / "step-000000002.tmp-4711")
    assert_same(load_newest(tmp_path)[0], state(1))
    assert not list(tmp_path.glob("*.tmp-*"))


def test_a_full_disk_at_any_write_leaves_the_earlier_checkpoint_whole(tmp_path: Path, monkeypatch) -> None:
    save_checkpoint(tmp_path, state(1))
    write = atomic.write_durably
    for allowed in range(3):
        calls = 0

        def full(path: Path, data: bytes, allowed: int = allowed) -> None:
            nonlocal calls
            calls += 1
            if calls > allowed:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(path, data)

        monkeypatch.setattr(checkpoint, "write_durably", full)
        with pytest.raises(ResourceError) as caught:
            save_checkpoint(tmp_path, state(2))
        assert caught.value.exit_code == 6
        assert "No space left" in str(caught.value)
        assert "bytes free" in str(caught.value)
        assert [p.name for p in tmp_path.iterdir()] == ["step-000000001"]
        assert_same(load_newest(tmp_path)[0], state(1))


def test_a_kill_while_an_old_one_is_removed_leaves_no_half_checkpoint(tmp_path: Path, monkeypatch) -> None:
    def killed(path: Path, ignore_errors: bool = False) -> None:
        (path / "state.safetensors").unlink()
        raise KeyboardInterrupt

    for step in (1, 2):
        save_checkpoint(tmp_path, state(step))
    monkeypatch.setattr(checkpoint.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, state(3))
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.glob("step-?????????")) == ["step-000000002", "step-000000003"]
    assert_same(load_newest(tmp_path)[0], state(3))
    assert not list(tmp_path.glob("*.tmp-*"))


def test_files_are_on_disk_before_the_manifest_and_all_before_the_rename(tmp_path: Path, monkeypatch) -> None:
    events: list[str] = []
    write, sync, rename = atomic.write_durably, atomic.sync_directory, Path.rename
    monkeypatch.setattr(checkpoint, "write_durably", lambda p, d: (events.append(p.name), write(p, d))[1])
    monkeypatch.setattr(checkpoint, "sync_directory", lambda p: (events.append(f"sync {p.name[:6]}"), sync(p))[1])
    monkeypatch.setattr(Path, "rename", lambda p, t: (events.append("rename"), rename(p, t))[1])
    folder = tmp_path / "checkpoints"
    save_checkpoint(folder, state(5))
    assert events == ["state.safetensors", "state.json", "manifest.json", "sync step-0", "rename", "sync checkp"]
    manifest = json.loads((folder / "step-000000005" / "manifest.json").read_bytes())
    assert set(manifest) == {"state.safetensors", "state.json"}


def test_asked_again_damaged_checkpoints_are_still_an_error_and_no_fresh_start(tmp_path: Path) -> None:
    for _ in range(2):  # the same step may go bad twice
        flip_a_bit(save_checkpoint(tmp_path, state(1)) / "state.safetensors")
        for _ in range(2):
            with pytest.raises(ModelFileError, match="step-000000001"):
                load_newest(tmp_path)
    assert len(list(tmp_path.glob("*.bad*"))) == 2
