"""Config files: what is read, and what is refused naming the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from striate.core.config_file import read_config
from striate.core.errors import SettingsError


def refused(path: Path, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_config(path)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert str(path) in message
    assert reason in message
    assert "\nfix: " in message


def written(folder: Path, content: str | bytes, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_yaml_mapping_is_read_with_its_types(tmp_path):
    path = written(tmp_path, "# a comment\nepochs: 5\nlr: 0.1\nflip: true\nmodel: resnet18\nclip-norm: null\n")
    assert read_config(path) == {"epochs": 5, "lr": 0.1, "flip": True, "model": "resnet18", "clip-norm": None}


@pytest.mark.parametrize("name", ["config.json", "CONFIG.JSON", "config.yaml"])
def test_json_mapping_is_read_with_its_types(tmp_path, name):
    values = {"epochs": 5, "lr": 0.1, "flip": True, "model": "resnet18", "clip-norm": None}
    assert read_config(written(tmp_path, json.dumps(values), name)) == values


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n"])
def test_empty_file_sets_nothing(tmp_path, content):
    assert read_config(written(tmp_path, content)) == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "epochs: 5\nlr: 1\nepochs: 6\n"),
        ("config.json", '{"epochs": 5, "lr": 1, "epochs": 6}'),
        ("config.yaml", "outer:\n  epochs: 5\n  epochs: 6\n"),
    ],
)
def test_key_given_twice_is_refused_by_name(tmp_path, name, content):
    path = written(tmp_path, content, name)
    refused(path, "key given twice: epochs")


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.yaml", "batch-size: 5\nbatch_size: 6\n"), ("config.json", '{"batch-size": 5, "batch_size": 6}')],
)
def test_one_key_in_both_spellings_is_refused(tmp_path, name, content):
    refused(written(tmp_path, content, name), "key given twice: batch_size")


def test_many_keys_are_checked_in_reasonable_time(tmp_path):
    keys = {f"k{number}": 0 for number in range(60_000)}  # quadratic work would take minutes
    assert read_config(written(tmp_path, json.dumps(keys), "config.json")) == keys


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/object:builtins.object"]
)
def test_yaml_that_would_run_code_is_refused_and_not_run(tmp_path, tag):
    marker = tmp_path / "ran"
    path = written(tmp_path, f"epochs: {tag} ['touch {marker}']\n")
    refused(path, "could not determine a constructor")
    assert not marker.exists()


def test_aliases_are_refused(tmp_path):
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    refused(written(tmp_path, bomb), "aliases")


def test_merge_keys_are_refused(tmp_path):
    path = written(tmp_path, "<<: {epochs: 5}\nepochs: 6\n")
    with pytest.raises(SettingsError, match=r"config\.yaml"):
        read_config(path)


def test_tabs_as_indentation_are_refused(tmp_path):
    refused(written(tmp_path, "epochs:\n\t5\nlr:\n\t- 1\n"), "\\t")


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_binary_file_is_refused(tmp_path, name):
    refused(written(tmp_path, b"\x89PNG\r\n\x1a\n\xff\xfe\x00\x01", name), "not UTF-8 text")


def test_control_characters_are_refused(tmp_path):
    refused(written(tmp_path, b"epochs: 5\x00\x01"), "special characters")


def test_directory_is_refused(tmp_path):
    refused(tmp_path, "Is a directory")


def test_missing_file_is_refused(tmp_path):
    refused(tmp_path / "absent.yaml", "not found")


def test_file_over_one_megabyte_is_refused_without_reading_it(tmp_path):
    refused(written(tmp_path, "#" + " " * 1_000_001), "larger than 1 MB")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "- epochs: 5\n- lr: 1\n"),
        ("config.json", '[{"epochs": 5}]'),
        ("config.yaml", "epochs"),
        ("config.yaml", "5"),
        ("config.json", '"epochs"'),
        ("config.yaml", "1: 5\n"),
        ("config.yaml", "true: 5\n"),
    ],
)
def test_what_is_no_mapping_of_names_is_refused(tmp_path, name, content):
    refused(written(tmp_path, content, name), "not a mapping")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"epochs": 5'),
        ("config.json", "epochs: 5"),
        ("config.json", ""),
        ("config.yaml", "epochs: [5"),
        ("config.yaml", "epochs: 5: 6"),
        ("config.yaml", "epochs: 5\n---\nepochs: 6\n"),
        ("config.yaml", "epochs: 2020-13-45\n"),
        ("config.yaml", "? [a]\n: 1\n"),
        ("config.json", '{"epochs": ' + "9" * 5000 + "}"),
        ("config.json", '{"a":' + "[" * 100_000),
        ("config.yaml", "a: " + "[" * 5_000),
    ],
)
def test_damaged_file_is_refused(tmp_path, name, content):
    refused(written(tmp_path, content, name), "cannot be read")
