"""The run folder: never overwritten, held by one process, readable after any kill."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.core.settings import TrainSettings
from striate.data.dataset import FileRecord
from striate.models import Architecture
from striate.runs.folder import Run, RunConfig, folder_name, newest_unfinished


@pytest.fixture
def config(make_spec) -> RunConfig:
    return RunConfig(
        striate="0",
        data="digits",
        fingerprint="f",
        settings=TrainSettings.parse({"epochs": 3, "lr": 0.1, "batch_size": 8, "model": "fast"}),
        architecture=Architecture(name="fast"),
        spec=make_spec(),
    )


def create(out: Path, config: RunConfig, name: str | None = None) -> Run:
    return Run.create(out, name, "digits", config, {"machine": "test"})


def test_unnamed_runs_are_numbered(tmp_path: Path, config: RunConfig) -> None:
    names = [create(tmp_path, config).path.name for _ in range(3)]
    assert names == ["digits", "digits-2", "digits-3"]
    assert not list(tmp_path.glob(".new*"))


def test_a_name_that_is_taken_is_refused_and_nothing_changes(tmp_path: Path, config: RunConfig) -> None:
    create(tmp_path, config, "mine")
    before = sorted(p.name for p in (tmp_path / "mine").iterdir())
    with pytest.raises(SettingsError, match="run folder exists") as caught:
        create(tmp_path, config, "mine")
    assert "--resume" in str(caught.value)
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == before


def test_an_empty_folder_or_a_file_in_the_way_is_not_replaced(tmp_path: Path, config: RunConfig) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits-2").write_text("a file")
    assert create(tmp_path, config).path.name == "digits-3"


@pytest.mark.parametrize("name", ["../x", "a/b", "", " ", "a\nb", ".hidden", "-x", "a\x00b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, config: RunConfig, name: str) -> None:
    with pytest.raises(SettingsError):
        create(tmp_path, config, name)


def test_config_survives_the_folder(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    assert Run.open(run.path).config == config


def test_a_second_process_cannot_train_in_it(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    with pytest.raises(ResourceError, match="another process"):
        Run.open(run.path).lock()
    run.release()
    Run.open(run.path).lock()


def test_a_folder_that_cannot_be_written_is_named(config: RunConfig) -> None:
    with pytest.raises(ResourceError, match="/proc"):
        create(Path("/proc/nowhere"), config)


def test_opening_something_else_says_what_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a run folder"):
        Run.open(tmp_path)
    (tmp_path / "config.json").write_text("{ half")
    with pytest.raises(ModelFileError, match="damaged"):
        Run.open(tmp_path)


def test_metrics_after_a_kill_have_no_half_line_no_duplicate_and_no_gap(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "loss": 1 / epoch})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4, "lo')
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]
    run.keep_metrics_before(3)
    run.append_metrics({"epoch": 3, "loss": 0.3})
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]


def test_damaged_metrics_cost_their_lines_only_and_are_told(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    (run.path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n\xff\x00\n[3]\n{"epoch": "four"}\n{"epoch": 5}\n')
    assert [line["epoch"] for line in run.metrics()] == [1, 5]
    run.keep_metrics_before(6)
    assert run.notes == ["metrics.jsonl has no line of epoch 2, 3, 4"]


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


def test_a_run_that_is_being_trained_is_not_resumed(tmp_path: Path, config: RunConfig) -> None:
    first, second = create(tmp_path, config), create(tmp_path, config)
    os.utime(second.path, (2e9, 2e9))
    first.release()
    assert newest_unfinished(tmp_path) == first.path
    second.release()
    assert newest_unfinished(tmp_path) == second.path


def test_the_ledger_keeps_odd_file_names(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    odd = b"caf\xe9, \xf0.jpg".decode("utf-8", "surrogateescape")
    run.write_files([FileRecord(odd, "train", "a\nb", "skipped", 'said "no"')])
    assert b"caf\xe9" in (run.path / "files.csv").read_bytes()


def test_the_newest_unfinished_run_is_found(tmp_path: Path, config: RunConfig) -> None:
    with pytest.raises(SettingsError, match="no unfinished run"):
        newest_unfinished(tmp_path)
    first, second = create(tmp_path, config), create(tmp_path, config)
    second.model_path.write_bytes(b"")
    first.release()
    assert newest_unfinished(tmp_path) == first.path


@pytest.mark.parametrize(
    ("data", "name"), [("cifar10:cat,dog", "cifar10-cat-dog"), ("digits", "digits"), ("a/../b c", "a-..-b-c")]
)
def test_default_names_come_from_the_data(data: str, name: str) -> None:
    assert folder_name(data) == name


def test_the_default_name_of_a_folder_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    assert folder_name(str(tmp_path / "my photos")) == "my-photos"
