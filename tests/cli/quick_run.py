"""Options of a run of seconds, and the bytes of all files of a folder."""

from __future__ import annotations

from pathlib import Path

QUICK = ["--epochs", "2", "--precision", "fp32", "--device", "cpu"]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
