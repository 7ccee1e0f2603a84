"""Places of data and of the cache that are the test's own."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest

import striate.data.find
from striate.data import cache


@pytest.fixture
def nothing_on_this_machine(tmp_path, monkeypatch, request):
    """Look nowhere but in the test's own folder."""
    if "real_data" in request.fixturenames:
        return
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    monkeypatch.setattr(striate.data.find, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(striate.data.find, "CACHE", tmp_path / "cache")

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        monkeypatch.setattr(f"torchvision.datasets.{name}", unreachable)


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """Keep every folder, however small, in a cache of this test's own; return its place."""
    monkeypatch.setattr(cache, "WORTH", 0.0)
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures"
