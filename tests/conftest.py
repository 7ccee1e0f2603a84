"""What several tests share: real data where STRIATE_DATA holds them, small folders of pictures, small specs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from striate.core.errors import StriateError
from striate.core.spec import ImageSpec
from striate.explain.report import after_training, mistake
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, save_model
from striate.training.job import Job


def pytest_configure() -> None:
    """Use one thread, here and in every process a test starts.

    The networks are too small for several to help, and threads that spin while others hold the cores cost a lot.
    """
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings.register_profile("striate", deadline=None)  # how long an example takes is no test
    settings.load_profile("striate")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded pictures away from the user's own cache, also in every process a test starts."""
    before = os.environ.get("STRIATE_CACHE")
    os.environ["STRIATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("STRIATE_CACHE")
    if before is not None:
        os.environ["STRIATE_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def report_on() -> Iterator[Callable[[Job], Path | None]]:
    """Let trainings in tests write no report, which would take longer than they do, and return what writes them."""
    real = after_training.report_on
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(after_training, "report_on", lambda job: None)
        yield real


@pytest.fixture
def reports(report_on, monkeypatch) -> None:
    """Let trainings of this test write their reports, as those of users do; mistakes of ours are raised."""

    def raised(chapter: str, error: Exception) -> StriateError:
        raise error

    monkeypatch.setattr(after_training, "report_on", report_on)
    monkeypatch.setattr(mistake, "told", raised)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from a name ('mnist', 'hymenoptera') to its folder; what is absent is skipped by name."""

    def find(name: str) -> Path:
        root = os.environ.get("STRIATE_DATA")
        if root is None or not (Path(root) / name).is_dir():
            pytest.skip(f"{name} is not here (STRIATE_DATA)")
        return Path(root) / name

    return find


def spec_of(channels: int = 1, side: int = 28, classes: int = 10) -> ImageSpec:
    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        classes=tuple(f"class {number}" for number in range(classes)),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
    )


@pytest.fixture
def make_spec() -> Callable[..., ImageSpec]:
    """Return `spec_of(channels=1, side=28, classes=10)`."""
    return spec_of


def draw_picture(path: Path, seed: int = 0, side: int = 16, mode: str = "RGB") -> None:
    rng = np.random.default_rng(seed)
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode=None).save(path)


@pytest.fixture
def picture_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes FOLDER/CLASS/n.png with random pictures: make(cats=5, dogs=5)."""

    def make(root: str = "photos", side: int = 16, mode: str = "RGB", suffix: str = ".png", **counts: int) -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        for number, (name, count) in enumerate(counts.items()):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                draw_picture(folder / name / f"{i:03}{suffix}", seed=1000 * number + i, side=side, mode=mode)
        return folder

    return make


@pytest.fixture
def save_untrained(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that saves a network nobody trained, for a spec, and gives the model file's path."""

    def save(spec: ImageSpec, name: str = "m.safetensors") -> Path:
        architecture = Architecture(name="fast")
        torch.manual_seed(0)
        save_model(tmp_path / name, build(architecture, spec), ModelCard(architecture=architecture, spec=spec))
        return tmp_path / name

    return save
