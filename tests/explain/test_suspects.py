"""Suspected labels from pictures to a ranked finding: each picture is judged by a network that has not seen it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.sources import open_data
from striate.explain import suspects as module
from striate.explain.feature_folds import features_out_of_fold
from striate.explain.out_of_fold import FOLDS, fold_numbers, network_out_of_fold
from striate.explain.suspects import Suspects, find_suspects, suspects_finding

QUICK = TrainSettings(epochs=5, precision="fp32", device="cpu")


def turned(splits: Splits, share: float, seed: int) -> tuple[Splits, set[str]]:
    """The data with some labels of the training part turned to another class, and the names of those."""
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    labels, classes = splits.train.labels.clone(), len(splits.classes)
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[chosen] = (labels[chosen] + torch.from_numpy(rng.integers(1, classes, len(chosen)))) % classes
    wrong = {splits.train.names[number] for number in chosen}
    return replace(splits, train=replace(splits.train, labels=labels)), wrong


def test_folds_are_even_in_every_class_and_a_function_of_the_seed() -> None:
    labels = torch.tensor([0] * 23 + [1] * 50 + [2] * 4)
    folds = fold_numbers(labels, 5, seed=3)
    for label, count in ((0, 23), (1, 50), (2, 4)):
        sizes = torch.bincount(folds[labels == label], minlength=5)
        assert int(sizes.max() - sizes.min()) <= 1, label
        assert int(sizes.sum()) == count
    assert torch.equal(folds, fold_numbers(labels, 5, seed=3))
    assert not torch.equal(folds, fold_numbers(labels, 5, seed=4))


def test_no_picture_is_judged_by_a_network_that_was_trained_on_it(monkeypatch) -> None:
    data = open_data("digits", TrainSettings(first=120), 0)
    asked: list[tuple[set[str], set[str]]] = []

    def note(plan: object, splits: Splits, part: ImageDataset) -> torch.Tensor:
        asked.append((set(splits.train.names), set(part.names)))
        return torch.full((len(part), 10), 0.1)

    monkeypatch.setattr("striate.explain.out_of_fold._trained_and_asked", note)
    judged = [number for inside, _ in network_out_of_fold(data.train, data, QUICK) for number in inside.tolist()]
    assert sorted(judged) == list(range(120))
    assert len(asked) == FOLDS
    for trained, told in asked:
        assert not trained & told
        assert len(trained) + len(told) == 120


def test_turned_labels_of_digits_are_found(monkeypatch) -> None:
    monkeypatch.setattr("striate.explain.out_of_fold.FOLDS", 3)
    data, wrong = turned(open_data("digits", TrainSettings(first=600), 0), 0.08, seed=1)
    said: list[str] = []
    found = find_suspects(data, QUICK, said.append)
    assert len(said) == 3
    (finding,) = suspects_finding(found, data)
    ranked = [case.names[0] for case in finding.cases]
    assert len(wrong & set(ranked[: len(wrong)])) >= 0.8 * len(wrong)
    assert len(wrong & set(ranked)) >= 0.8 * len(wrong)
    right = {name: int(label) for name, label in zip(data.train.names, data.train.labels, strict=True)}
    first = finding.cases[0]
    assert first.suggested != data.classes[right[first.names[0]]]
    assert f"→ {first.suggested}" in first.detail


def test_the_finding_names_given_and_suggested_class_with_the_share(monkeypatch) -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.97, 0.03]])
    found = Suspects(torch.tensor([2]), torch.tensor([0, 1, 1]), probabilities, ("cat", "dog"), "a judge")
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    data = Splits("x", ImageDataset(images, found.labels, ("cat", "dog"), ["a", "b", "c"]))
    (finding,) = suspects_finding(found, data)
    assert finding.cases[0].text == "c (dog → cat, 97 %)"
    assert finding.cases[0].suggested == "cat"
    assert "1 label of 3" in finding.summary
    none = Suspects(torch.empty(0, dtype=torch.int64), found.labels, probabilities, found.classes, "a judge")
    assert suspects_finding(none, data) == []


def test_pictures_with_any_number_of_classes_are_refused() -> None:
    labels = torch.ones(2, 2, dtype=torch.bool)
    part = ImageDataset(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), labels, ("a", "b"), ["x", "y"])
    with pytest.raises(SettingsError, match="one class"):
        find_suspects(Splits("x", part), QUICK)


def test_grey_and_small_pictures_are_judged_by_networks_of_their_own() -> None:
    data = open_data("digits", TrainSettings(first=60), 0)
    assert features_out_of_fold(data.train, data, QUICK, lambda _: None) is None


def test_what_the_features_say_is_used_where_there_are_any(monkeypatch) -> None:
    data = open_data("digits", TrainSettings(first=60), 0)
    count = sum(len(part) for part in data.parts().values())
    told = torch.full((count, 10), 0.1), "a stand-in"
    monkeypatch.setattr(module, "features_out_of_fold", lambda *_: told)
    assert find_suspects(data, QUICK).judge == "a stand-in"
