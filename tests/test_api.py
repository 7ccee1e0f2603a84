"""The Python interface: the same road as the command line, from a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

import striate
from striate.core.errors import SettingsError, StriateError

QUICK = {"epochs": 1, "first": 100, "precision": "fp32", "device": "cpu"}


def test_train_and_load(tmp_path: Path) -> None:
    run = striate.train("digits", out=str(tmp_path), name="one", **QUICK)
    assert run.is_finished
    assert run.path == tmp_path / "one"
    predictor = striate.load(run.path)
    assert predictor.classes == tuple("0123456789")
    again = striate.train("digits", out=tmp_path, **QUICK)  # the first has let go of everything
    assert again.model_path.read_bytes() == run.model_path.read_bytes()


@pytest.mark.parametrize("arguments", [{"data": 5}, {"out": None}, {"name": 7}, {"name": b"x"}])
def test_arguments_of_a_wrong_type_are_told(arguments: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"striate\.train"):
        striate.train(**{"data": "digits", "out": tmp_path, **arguments})  # type: ignore[arg-type]


def test_unknown_settings_and_runs_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="epochs"):
        striate.train("digits", out=tmp_path, epoch=3)
    with pytest.raises(SettingsError, match="not a run folder"):
        striate.resume(tmp_path)
    with pytest.raises(SettingsError, match="named by its folder"):
        striate.resume(None)  # type: ignore[arg-type]
    with pytest.raises(StriateError):
        striate.load(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_dir_offers_what_the_package_offers() -> None:
    assert {"train", "load", "resume"} <= set(dir(striate))
