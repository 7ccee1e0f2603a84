"""One process at a time works in a run folder, and the newest that nobody works in is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from striate.core.errors import ResourceError, SettingsError
from striate.runs.config import RunConfig
from striate.runs.folder import Run
from striate.runs.lock import newest_unfinished

from .new_run import create


def test_a_second_process_cannot_train_in_it(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    with pytest.raises(ResourceError, match="another process"):
        Run.open(run.path).lock()
    run.release()
    Run.open(run.path).lock()


def test_a_run_that_is_being_trained_is_not_resumed(tmp_path: Path, config: RunConfig) -> None:
    first, second = create(tmp_path, config), create(tmp_path, config)
    os.utime(second.path, (2e9, 2e9))
    first.release()
    assert newest_unfinished(tmp_path) == first.path
    second.release()
    assert newest_unfinished(tmp_path) == second.path


def test_the_newest_unfinished_run_is_found(tmp_path: Path, config: RunConfig) -> None:
    with pytest.raises(SettingsError, match="no unfinished run"):
        newest_unfinished(tmp_path)
    first, second = create(tmp_path, config), create(tmp_path, config)
    second.model_path.write_bytes(b"")
    first.release()
    assert newest_unfinished(tmp_path) == first.path
