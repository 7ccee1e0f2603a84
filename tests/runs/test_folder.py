"""The run folder: its files are read back as they were written, and what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.data.dataset import FileRecord
from striate.runs.config import RunConfig
from striate.runs.folder import Run

from .new_run import create


def test_config_survives_the_folder(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    assert Run.open(run.path).config == config


def test_a_folder_that_cannot_be_written_is_named(config: RunConfig) -> None:
    with pytest.raises(ResourceError, match="/proc"):
        create(Path("/proc/nowhere"), config)


def test_opening_something_else_says_what_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a run folder"):
        Run.open(tmp_path)
    (tmp_path / "config.json").write_text("{ half")
    with pytest.raises(ModelFileError, match="damaged"):
        Run.open(tmp_path)


@pytest.mark.parametrize("text", [None, "", "[]", "{ half"])
def test_a_missing_or_damaged_environment_is_a_note(tmp_path: Path, config: RunConfig, text: str | None) -> None:
    run = create(tmp_path, config)
    file = run.path / "environment.json"
    file.unlink() if text is None else file.write_text(text)
    run.note_another_machine({"torch": "1", "device_name": "x", "threads": 2, "device": "cpu"})
    assert "environment.json" in run.notes[0]


def test_a_config_with_a_hole_is_refused_by_its_key(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    values = json.loads((run.path / "config.json").read_bytes())
    values["settings"]["epochs"] = None
    (run.path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match=r"settings: .*epochs not set"):
        Run.open(run.path)


def test_the_digest_changes_with_the_result_and_not_with_the_place(config: RunConfig) -> None:
    def with_settings(**values: object) -> str:
        return config.model_copy(update={"settings": config.settings.with_values(**values)}).digest()

    assert with_settings(device="cpu", data_dir="/x", checkpoint_every=1.0) == config.digest()
    others = {with_settings(lr=0.2), with_settings(seed=1), config.model_copy(update={"fingerprint": "g"}).digest()}
    assert len(others | {config.digest()}) == 4


def test_the_ledger_keeps_odd_file_names(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    odd = b"caf\xe9, \xf0.jpg".decode("utf-8", "surrogateescape")
    run.write_files([FileRecord(odd, "train", "a\nb", "skipped", 'said "no"')])
    assert b"caf\xe9" in (run.path / "files.csv").read_bytes()
