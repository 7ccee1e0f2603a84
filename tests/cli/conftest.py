"""A small folder of pictures and a run on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from striate.cli.main import main

from .quick_run import QUICK


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Two classes that can be told apart: dark and light pictures."""
    folder = tmp_path_factory.mktemp("photos")
    for name, level in (("dark", 40), ("light", 200)):
        for i in range(30):
            (folder / name).mkdir(exist_ok=True)
            Image.effect_noise((20, 16), 30).point(lambda v, d=level - 128: v + d).convert("RGB").save(
                folder / name / f"{i:02}.png"
            )
    return folder


@pytest.fixture(scope="session")
def run(photos: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", str(photos), *QUICK, "--out", str(out), "--name", "photos", "--quiet"]) == 0
    return out / "photos"
