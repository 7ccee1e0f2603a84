"""Macro figures against scikit-learn, their intervals against the accuracy's own, bootstrap and simulation."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from sklearn import metrics as reference

from striate.evaluation.evaluate import from_logits
from striate.evaluation.macro import balanced_accuracy, balanced_loss, macro_f1
from striate.evaluation.metrics import confusion_matrix, wilson_interval

from .test_metrics import classifications

quick = settings(deadline=None, max_examples=60)


@quick
@given(classifications())
def test_balanced_accuracy_and_macro_f1_are_scikit_learns_over_the_classes_with_pictures(drawn) -> None:
    labels, predictions, classes = drawn
    confusion = confusion_matrix(labels, predictions, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted and have no picture
        expected = reference.balanced_accuracy_score(labels, predictions)
        there = labels.unique().tolist()
        f1 = reference.f1_score(labels, predictions, labels=there, average="macro", zero_division=0)
    assert balanced_accuracy(confusion).value == pytest.approx(expected, abs=1e-12)
    assert macro_f1(confusion).value == pytest.approx(f1, abs=1e-12)
    for figure in (balanced_accuracy(confusion), macro_f1(confusion)):
        low, high = figure.interval
        assert 0 <= low <= figure.value + 1e-12
        assert figure.value - 1e-12 <= high <= 1
        assert low < high


def test_a_class_without_pictures_is_left_out_and_not_zero() -> None:
    full = torch.tensor([[8, 2], [1, 9]])
    lacking = torch.tensor([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert balanced_accuracy(lacking) == balanced_accuracy(full)
    assert macro_f1(lacking) == macro_f1(full)


def test_of_classes_of_one_size_the_interval_is_the_accuracys() -> None:
    confusion = torch.tensor([[45, 5, 0], [3, 44, 3], [0, 0, 50]])
    figure = balanced_accuracy(confusion)
    assert figure.value == pytest.approx(139 / 150)
    assert figure.interval == pytest.approx(wilson_interval(139, 150), abs=1e-12)


def test_no_mistake_among_few_pictures_says_little() -> None:
    low, high = balanced_accuracy(torch.tensor([[1000, 0], [0, 10]])).interval
    alone, _ = wilson_interval(10, 10)
    assert high == 1.0
    assert alone < low < 0.95, "as of about forty pictures"
    assert macro_f1(torch.tensor([[1000, 0], [0, 10]])).interval == (low, high)
    nothing = balanced_accuracy(torch.tensor([[0, 10], [20, 0]]))
    assert nothing.value == 0
    assert nothing.interval[0] == 0 < nothing.interval[1] < 0.3


def bootstrap(confusion: np.ndarray, times: int = 4000) -> np.ndarray:
    """Return macro F1 and balanced accuracy of resampled pictures, each class by itself: 2, times."""
    rng = np.random.default_rng(0)
    rows = [rng.multinomial(row.sum(), row / row.sum(), times) for row in confusion]
    tables = np.stack(rows, 1).astype(float)  # times K K
    hits = np.einsum("bkk->bk", tables)
    f1 = 2 * hits / (tables.sum(1) + tables.sum(2))
    return np.stack([f1.mean(1), (hits / tables.sum(2)).mean(1)])


@pytest.mark.parametrize(
    "confusion",
    [
        [[300, 40, 10], [30, 120, 20], [8, 12, 60]],
        [[90, 10], [25, 75]],
        [[200, 20, 5, 5], [10, 180, 20, 0], [3, 9, 150, 8], [9, 9, 9, 140]],
    ],
)
def test_intervals_are_about_those_of_a_stratified_bootstrap(confusion) -> None:
    table = torch.tensor(confusion)
    for figure, values in zip((macro_f1(table), balanced_accuracy(table)), bootstrap(np.array(confusion)), strict=True):
        low, high = np.quantile(values, (0.025, 0.975))
        width = figure.interval[1] - figure.interval[0]
        # never narrower; wider where most mistakes are in the large classes (the cap by Kish's number)
        assert 0.9 * (high - low) < width < 1.5 * (high - low)
        assert figure.interval[0] == pytest.approx(low, abs=0.35 * (high - low))


@pytest.mark.parametrize("recalls", [(0.9, 0.7), (0.98, 0.6), (0.99, 0.97)])
def test_the_intervals_of_the_balanced_accuracy_hold_what_they_say(recalls) -> None:
    rng = np.random.default_rng(1)
    sizes = np.array([400, 40])
    held = []
    for _ in range(500):
        hits = rng.binomial(sizes, recalls)
        table = torch.tensor([[hits[0], sizes[0] - hits[0]], [sizes[1] - hits[1], hits[1]]])
        low, high = balanced_accuracy(table).interval
        held.append(low <= np.mean(recalls) <= high)
    assert np.mean(held) >= 0.93


def test_the_balanced_loss_is_the_mean_of_the_classes_losses() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(60, 4), torch.tensor([0] * 40 + [1] * 15 + [3] * 5)
    expected = np.mean([float(F.cross_entropy(logits[labels == k], labels[labels == k])) for k in (0, 1, 3)])
    assert balanced_loss(logits, labels) == pytest.approx(expected, rel=1e-6)


def test_the_summary_holds_them_and_says_when_accuracy_misleads() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    result = from_logits(torch.tensor([[1.0, 0.0]]).repeat(100, 1), labels, ("usual", "rare"), "test")
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["accuracy"] == 0.9
    assert summary["balanced_accuracy"] == 0.5
    assert summary["macro_f1"] == pytest.approx(reference.f1_score(labels, [0] * 100, average="macro"))
    assert summary["balanced_accuracy_interval_95"] == list(result.balanced_accuracy.interval)
    assert result.is_imbalanced
    assert not from_logits(torch.zeros(20, 2), torch.arange(20) % 2, ("a", "b"), "test").is_imbalanced
