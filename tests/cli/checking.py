"""`striate data check` as the tests call it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from striate.cli.main import main


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """What a folder holds, and when each entry was changed."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def check(folder: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict], str]:
    """Exit code, findings by kind, and what went to stderr."""
    code = main(["data", "check", str(folder), "--json", *options])
    out, err = capsys.readouterr()
    findings = json.loads(out)["findings"]
    assert len({finding["kind"] for finding in findings}) == len(findings)
    return code, {finding["kind"]: finding for finding in findings}, err


def files_of(finding: dict) -> list[list[str]]:
    return [case["files"] for case in finding["cases"]]
