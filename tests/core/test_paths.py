"""Paths that users give, and what the system says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from striate.core.errors import DataError, ModelFileError, SettingsError
from striate.core.paths import file_status, user_path


def test_a_path_is_taken_as_text_or_object_with_its_tilde_expanded(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("~/runs", Path("~/runs")):
        assert user_path(value, "a run") == tmp_path / "runs"
    assert user_path("~nouser/runs", "a run") == Path("~nouser/runs")


@pytest.mark.parametrize("value", [None, 5, 1.5, b"runs", ["runs"], "", object()])
def test_what_is_no_path_is_told_what_is_accepted(value) -> None:
    with pytest.raises(SettingsError, match="give a run folder"):
        user_path(value, "a run folder")


@pytest.mark.parametrize("kind", [DataError, ModelFileError])
@pytest.mark.parametrize("odd", ["x" * 300, "a\0b", "loop", "\ud800"])
def test_what_the_system_cannot_look_up_is_the_callers_error(monkeypatch, tmp_path: Path, kind, odd: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(kind) as caught:
        file_status(Path(odd), kind)
    assert odd in str(caught.value)


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_status(tmp_path / "absent", DataError) is None
    assert file_status(tmp_path / "file" / "below", DataError) is None
    status = file_status(tmp_path / "file", DataError)
    assert status is not None
    assert status.st_size == 3
