"""An empty name is nobody's: it would be that of the current folder."""

from __future__ import annotations

import pytest

from striate.cli.main import main


@pytest.mark.parametrize(
    "line",
    ["predict run |", "export run --out |", "evaluate |", "train |", "explain run --out=", "predict run x --json |"],
)
def test_an_empty_name_is_refused_by_every_verb(line: str, capsys) -> None:
    assert main([word.strip("|") for word in line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: an empty name: ")


@pytest.mark.parametrize("words", [["--split-column", ""], ["--split-column="]])
def test_of_a_tables_column_it_says_that_there_is_none(words: list[str], capsys) -> None:
    main(["train", "no-such-data", *words])
    assert "an empty name" not in capsys.readouterr().err
