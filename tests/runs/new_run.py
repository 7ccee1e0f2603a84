"""A run folder as training begins."""

from __future__ import annotations

from pathlib import Path

from striate.runs.config import RunConfig
from striate.runs.folder import Run


def create(out: Path, config: RunConfig, name: str | None = None) -> Run:
    return Run.create(out, name, "digits", config, {"machine": "test"})
