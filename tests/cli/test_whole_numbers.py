"""A fraction is no whole number: refused by every option that takes one, never rounded."""

from __future__ import annotations

from typing import get_args

import pytest

from striate.cli.main import main
from striate.core.settings import TrainSettings


def takes_whole_numbers(name: str) -> bool:
    kinds = get_args(kind := TrainSettings.model_fields[name].annotation) or (kind,)
    return int in kinds or any(isinstance(value, int) for part in kinds for value in get_args(part))


WHOLE = [name for name in TrainSettings.model_fields if takes_whole_numbers(name)]


def test_there_are_such_settings() -> None:
    assert {"epochs", "batch_size", "img_size", "channels", "views", "folds", "seed", "first", "depth"} <= set(WHOLE)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", ["2.5", "1.4", "0x10", "two", "1e3"])
def test_a_fraction_is_refused_by_the_name_of_its_option(name: str, value: str, tmp_path, capsys) -> None:
    option = f"--{name.replace('_', '-')}"
    assert main(["train", "digits", option, value, "--out", str(tmp_path / "runs"), "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert option in err
    assert value in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "run", "x.png", "--top", "1.5"],
        ["inspect", "fast", "--img-size", "28.5"],
        ["inspect", "fast", "--channels", "1.2"],
        ["inspect", "fast", "--classes", "9.9"],
        ["train", "digits", "-b", "16.5"],
        ["data", "show", "digits", "--first", "2.5"],
        ["data", "check", "digits", "--first", "2.5"],
        ["convolve", "lines", "--stride", "1.5"],
    ],
)
def test_other_commands_refuse_it_too(arguments: list[str], capsys) -> None:
    assert main(arguments) == 2
    assert arguments[-2] in capsys.readouterr().err


def test_a_whole_number_may_be_written_with_zeros_behind_the_point(capsys) -> None:
    assert main(["train", "digits", "--epochs", "2.0", "--channels", "1.", "--dry-run", "--quiet"]) == 0
    assert "2 epochs" in capsys.readouterr().out
    assert main(["train", "digits", "--channels", "2"]) == 2
    assert "1, 3" in capsys.readouterr().err
