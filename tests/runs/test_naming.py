"""What run folders are called: names from the data, numbered where they are taken, and none that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from striate.core.errors import SettingsError
from striate.runs.config import RunConfig
from striate.runs.naming import folder_name

from .new_run import create


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


@pytest.mark.parametrize(
    ("data", "name"), [("cifar10:cat,dog", "cifar10-cat-dog"), ("digits", "digits"), ("a/../b c", "a-..-b-c")]
)
def test_default_names_come_from_the_data(data: str, name: str) -> None:
    assert folder_name(data) == name


def test_the_default_name_of_a_folder_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    assert folder_name(str(tmp_path / "my photos")) == "my-photos"
