"""Small networks that nobody trained, and servers of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import striate
from striate.core.spec import ImageSpec
from striate.deploy import Predictor
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, save_model

from .house import House


def save(path: Path, seed: int = 0, channels: int = 1, side: int = 12, classes: int = 5, **changes) -> Path:
    spec = ImageSpec(
        channels=channels,
        height=side,
        width=side,
        classes=tuple(f"class {number}" for number in range(classes)),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        **changes,
    )
    torch.manual_seed(seed)
    architecture = Architecture(name="fast")
    save_model(path, build(architecture, spec), ModelCard(architecture=architecture, spec=spec))
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Callable[..., Path]:
    """Return a function that saves an untrained network, once for each choice of options, and gives its path."""
    made: dict[str, Path] = {}
    folder = tmp_path_factory.mktemp("served")

    def make(**options) -> Path:
        name = repr(sorted(options.items()))
        if name not in made:
            made[name] = save(folder / f"{len(made)}.safetensors", **options)
        return made[name]

    return make


@pytest.fixture(scope="session")
def untrained(model_file) -> Callable[..., Predictor]:
    """Return a function that gives the predictor of an untrained network."""
    return lambda **options: striate.load(model_file(**options), device="cpu")


@pytest.fixture(scope="module")
def house(untrained) -> Iterator[House]:
    """Return a server whose limits are small, for all tests of a file."""
    made = House(untrained(), max_bytes=100_000, queue=40, receive_timeout=0.5, batch_size=8)
    yield made
    made.close()


@pytest.fixture
def open_house() -> Iterator[Callable[..., House]]:
    """Return a function that starts a server of its own for a test."""
    made: list[House] = []

    def make(*arguments, **options) -> House:
        made.append(House(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
