"""A small folder of pictures and a run on it, and folders with and without trouble in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
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


@pytest.fixture
def clean(picture_folder) -> Path:
    return picture_folder(root="clean", side=24, cats=12, dogs=12)


@pytest.fixture
def troubled(picture_folder) -> Path:
    """A folder with one of each trouble that training survives."""
    picture_folder()
    picture_folder(root="photos/train", side=24, cats=12, dogs=12)
    picture_folder(root="photos/test", side=24)
    folder = picture_folder()
    train, test = folder / "train", folder / "test"
    for name in ("cats", "dogs"):
        (test / name).mkdir()
    rng = np.random.default_rng(70_007)  # none of `picture_folder`'s
    for number in range(6):
        name = ("cats", "dogs")[number % 2]
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(test / name / f"t{number}.png")
    shutil.copy(train / "cats" / "000.png", test / "cats" / "copy.png")
    shutil.copy(train / "dogs" / "001.png", train / "cats" / "not a cat.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(train / "cats" / "phone.jpg", exif=exif)
    Image.new("RGB", (24, 24)).save(train / "dogs" / "black.png")
    Image.fromarray(rng.integers(0, 256, (24, 24, 4), dtype=np.uint8)).save(train / "dogs" / "cut out.png")
    Image.fromarray(rng.integers(0, 256, (24, 100, 3), dtype=np.uint8)).save(train / "dogs" / "strip.png")
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(train / "dogs" / "p.jpg", format="PNG")
    Image.fromarray(rng.integers(0, 65536, (24, 24), dtype=np.uint16)).save(train / "dogs" / "deep.png")
    (train / "cats" / ".DS_Store").write_bytes(b"x")
    (train / "cats" / "notes.txt").write_text("x")
    return folder
