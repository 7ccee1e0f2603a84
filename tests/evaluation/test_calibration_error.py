"""Calibration figures against plain loops, scikit-learn and a hand-made example; the interval against simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.metrics import brier_score_loss, log_loss

from striate.evaluation.calibration_error import (
    BINS,
    answers,
    calibration_figures,
    ece_interval,
    reliability_bins,
)

quick = settings(deadline=None, max_examples=40)


def looped_ece(confidences: np.ndarray, right: np.ndarray) -> float:
    """The paper's formula, bin by bin and answer by answer."""
    total = 0.0
    for b in range(BINS):
        inside = [
            (c, r)
            for c, r in zip(confidences, right, strict=True)
            if b / BINS < c <= (b + 1) / BINS or (b == 0 and c == 0)
        ]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            mean = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(right) * abs(accuracy - mean)
    return total


@st.composite
def measured(draw: st.DrawFn, multi_label: bool) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, classes = draw(st.integers(1, 60)), draw(st.integers(2, 5))
    logits = rng.normal(0, draw(st.sampled_from([0.1, 2.0, 20.0])), (count, classes))
    labels = rng.random((count, classes)) < 0.4 if multi_label else rng.integers(0, classes, count)
    return torch.tensor(logits), torch.tensor(labels)


@quick
@given(measured(multi_label=False))
def test_figures_of_one_class_each_are_the_loops(drawn) -> None:
    logits, labels = drawn
    figures = calibration_figures(logits, labels)
    shares, truth = softmax(logits.numpy(), axis=1), labels.numpy()
    right = shares.argmax(1) == truth
    assert figures.ece == pytest.approx(looped_ece(shares.max(1), right), abs=1e-9)
    per_class = [looped_ece(shares[:, k], truth == k) for k in range(shares.shape[1])]
    assert figures.classwise_ece == pytest.approx(np.mean(per_class), abs=1e-9)
    squares = [sum((p - (k == y)) ** 2 for k, p in enumerate(row)) for row, y in zip(shares, truth, strict=True)]
    assert figures.brier == pytest.approx(np.mean(squares), abs=1e-9)
    likelihoods = np.maximum(shares[np.arange(len(truth)), truth], 1e-300)
    assert figures.nll == pytest.approx(-np.log(likelihoods).mean(), rel=1e-9, abs=1e-9)


@quick
@given(measured(multi_label=True))
def test_figures_of_any_number_of_classes_are_the_loops_and_scikit_learns(drawn) -> None:
    logits, flags = drawn
    figures = calibration_figures(logits, flags)
    shares, truth = expit(logits.numpy()), flags.numpy()
    said = shares >= 0.5
    confidences = np.where(said, shares, 1 - shares)
    assert figures.ece == pytest.approx(looped_ece(confidences.ravel(), (said == truth).ravel()), abs=1e-9)
    per_class = [looped_ece(shares[:, k], truth[:, k]) for k in range(shares.shape[1])]
    assert figures.classwise_ece == pytest.approx(np.mean(per_class), abs=1e-9)
    assert figures.brier == pytest.approx(brier_score_loss(truth.ravel(), shares.ravel(), pos_label=1), abs=1e-9)
    if np.abs(logits.numpy()).max() < 15:  # beyond, 1 − p has too few digits left for scikit-learn
        expected = log_loss(truth.ravel(), shares.ravel(), labels=[0, 1])
        assert figures.nll == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_hand_made_example() -> None:
    # probabilities 0.9 0.9 0.9 0.9 (three right) and 0.62 0.62 (one right): 4/6 · |0.75 − 0.9| + 2/6 · |0.5 − 0.62|
    odds = [math.log(9)] * 4 + [math.log(0.62 / 0.38)] * 2
    logits = torch.tensor([[z, 0.0] for z in odds], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 0, 1])
    figures = calibration_figures(logits, labels)
    assert figures.ece == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.12)
    assert figures.brier == pytest.approx(2 * (3 * 0.01 + 0.81 + 0.38**2 + 0.62**2) / 6)
    bins = reliability_bins(*answers(logits, labels))
    assert bins.count.tolist() == [0] * 9 + [2] + [0] * 3 + [4, 0]  # in (9/15, 10/15] and (13/15, 14/15]
    assert bins.right[9].item() == 1
    assert bins.right[13].item() == 3
    assert bins.confidence[13].item() == pytest.approx(0.9)


@quick
@given(st.integers(0, 2**32))
def test_of_a_calibrated_source_the_error_goes_to_zero_with_the_root_of_the_count(seed) -> None:
    rng = np.random.default_rng(seed)
    confidences = rng.uniform(0, 1, 20_000)
    right = torch.tensor(rng.random(20_000) < confidences)[:, None]
    drawn = torch.tensor(confidences)[:, None]
    few, many = (reliability_bins(drawn[:n], right[:n]) for n in (200, 20_000))

    def error(bins) -> float:
        return float((bins.right - bins.count * bins.confidence).abs().sum() / bins.count.sum())

    # each bin's error has a deviation of at most 0.5 / √n, summed over 15 bins
    assert error(many) < 5 * 0.5 * math.sqrt(15 / 20_000)
    assert error(few) < 5 * 0.5 * math.sqrt(15 / 200)


def test_the_interval_is_a_pure_function_and_lies_in_zero_to_one() -> None:
    rng = np.random.default_rng(0)
    confidences = torch.tensor(rng.uniform(0.5, 1, 300))[:, None]
    right = torch.tensor(rng.random(300) < 0.7)[:, None]
    low, high = ece_interval(confidences, right)
    torch.manual_seed(123)
    assert ece_interval(confidences, right) == (low, high)
    assert 0 <= low < high <= 1
    assert ece_interval(torch.tensor([[0.5]]), torch.tensor([[True]])) == (0.0, 0.5)


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.05, 0.2])
def test_the_interval_holds_the_true_error_of_most_samples(gap: float) -> None:
    rng = np.random.default_rng(7)
    held = []
    for _ in range(80):
        confidences = rng.uniform(0.6, 1, 600)
        right = rng.random(600) < confidences - gap  # so that the true error of every bin is `gap`
        low, high = ece_interval(torch.tensor(confidences)[:, None], torch.tensor(right)[:, None])
        held.append(low <= gap <= high)
    assert np.mean(held) >= 0.9


def test_the_interval_of_several_answers_each_takes_pictures_not_answers() -> None:
    # five equal answers of each picture are no more evidence than one; far from 0, where chance has no say
    rng = np.random.default_rng(3)
    confidences, right = torch.tensor(rng.uniform(0.5, 1, 200))[:, None], torch.tensor(rng.random(200) < 0.6)[:, None]
    assert ece_interval(confidences.expand(-1, 5), right.expand(-1, 5)) == pytest.approx(
        ece_interval(confidences, right), abs=1e-12
    )
