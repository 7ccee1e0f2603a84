"""The linear head against scikit-learn's logistic regression, and that held-out pictures are held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from striate.core.errors import DataError
from striate.training.lbfgs import minimise
from striate.training.linear_head import FOLDS, divide, fit_head, out_of_fold

PENALTIES = [10 ** (-k / 2) for k in range(-2, 13)]


def clouds(count: int, width: int, classes: int, seed: int = 0, apart: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return overlapping Gaussian clouds with correlated features of very different scales."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    centres = apart * rng.normal(size=(classes, width))
    mixed = (centres[labels] + rng.normal(size=(count, width))) @ rng.normal(size=(width, width))
    features = mixed * 10 ** rng.uniform(-2, 2, width) + rng.normal(size=width)
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


def theirs(x: Tensor, y: np.ndarray, c: float, weights: Tensor | None = None) -> LogisticRegression:
    standard = StandardScaler().fit_transform(x.double().numpy())
    model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000)
    return model.fit(standard, y, None if weights is None else weights.numpy())


@pytest.mark.parametrize(("count", "width"), [(150, 12), (40, 90)])
def test_weights_equal_scikit_learns_at_the_same_penalty(count: int, width: int) -> None:
    x, y = clouds(count, width, 4)
    head = fit_head(x, y, 4)
    model = theirs(x, y.numpy(), 1 / (count * head.penalty))
    standardised = head.weight.double() * x.double().std(0, correction=0)
    np.testing.assert_allclose(standardised, model.coef_, atol=1e-3)
    standard = StandardScaler().fit_transform(x.double().numpy())
    np.testing.assert_allclose(head.logits(x).softmax(1), model.predict_proba(standard), atol=1e-4)


def test_two_classes_are_one_logistic_regression() -> None:
    """Two opposite rows of weights u/2 cost half of what one row u does."""
    x, y = clouds(80, 6, 2, apart=0.4)
    head = fit_head(x, y, 2)
    model = theirs(x, y.numpy(), 2 / (len(x) * head.penalty))
    difference = (head.weight[1] - head.weight[0]).double() * x.double().std(0, correction=0)
    np.testing.assert_allclose(difference, model.coef_[0], atol=1e-3)


def test_weights_of_pictures_equal_scikit_learns() -> None:
    x, y = clouds(90, 5, 3, apart=0.3)
    weights = torch.where(y == 0, 4.0, 0.5)
    head = fit_head(x, y, 3, weights=weights)
    model = theirs(x, y.numpy(), 1 / (len(x) * head.penalty), weights * len(x) / weights.sum())
    standardised = head.weight.double() * x.double().std(0, correction=0)
    np.testing.assert_allclose(standardised, model.coef_, atol=1e-3)


def test_label_sets_are_a_logistic_regression_per_class() -> None:
    x, y = clouds(120, 8, 4, apart=0.5)
    labels = torch.stack([y < 2, y % 2 == 0, torch.arange(120) % 3 == 0], 1)
    head = fit_head(x, labels, 3)
    for k in range(3):
        model = theirs(x, labels[:, k].numpy(), 1 / (len(x) * head.penalty))
        standardised = head.weight[k].double() * x.double().std(0, correction=0)
        np.testing.assert_allclose(standardised, model.coef_[0], atol=1e-3)


def test_the_penalty_is_the_one_that_does_best_on_held_out_pictures() -> None:
    x, y = clouds(90, 30, 3, apart=0.25)
    fold = divide(y, FOLDS)
    standard = StandardScaler().fit_transform(x.double().numpy())
    losses = []
    for penalty in PENALTIES[:9]:
        held_out = np.empty((90, 3))
        for k in range(FOLDS):
            seen = (fold != k).numpy()
            model = LogisticRegression(C=1 / (seen.sum() * penalty), tol=1e-8, max_iter=5000)
            held_out[~seen] = model.fit(standard[seen], y.numpy()[seen]).predict_proba(standard[~seen])
        losses.append(log_loss(y.numpy(), held_out))
    head = fit_head(x, y, 3)
    assert head.penalty == pytest.approx(PENALTIES[int(np.argmin(losses))])


def test_held_out_probabilities_equal_those_of_heads_without_the_fold() -> None:
    x, y = clouds(60, 10, 3, apart=0.5)
    fold = divide(y, 4, seed=3)
    ours = out_of_fold(x, y, 3, folds=4, seed=3)
    assert ours.dtype == torch.float32
    standard = StandardScaler().fit_transform(x.double().numpy())

    def held_out(penalty: float) -> np.ndarray:
        probabilities = np.empty((60, 3))
        for k in range(4):
            seen = (fold != k).numpy()
            model = LogisticRegression(C=1 / (seen.sum() * penalty), tol=1e-8, max_iter=5000)
            probabilities[~seen] = model.fit(standard[seen], y.numpy()[seen]).predict_proba(standard[~seen])
        return probabilities

    best = min((held_out(penalty) for penalty in PENALTIES[:11]), key=lambda p: log_loss(y.numpy(), p))
    np.testing.assert_allclose(ours, best, atol=5e-3)


def test_labels_that_could_only_be_learned_by_heart_are_not_known_out_of_fold() -> None:
    """Planted: every picture has a feature of its own, and labels are drawn at random."""
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 2, 200))
    features = torch.eye(200)
    fitted = fit_head(features, labels, 2)
    assert (fitted.logits(features).argmax(1) == labels).double().mean() > 0.9  # learned by heart
    probabilities = out_of_fold(features, labels, 2)
    assert abs(float((probabilities.argmax(1) == labels).double().mean()) - 0.5) < 0.15
    assert abs(fitted.accuracy - 0.5) < 0.15


def test_a_group_is_held_out_together() -> None:
    """Planted: pictures come in equal pairs with labels drawn at random; the twin would give it away."""
    rng = np.random.default_rng(2)
    labels = torch.from_numpy(rng.integers(0, 2, 60)).repeat(2)
    features = torch.from_numpy(rng.normal(size=(60, 300))).float().repeat(2, 1)
    alone = out_of_fold(features, labels, 2)
    together = out_of_fold(features, labels, 2, groups=torch.arange(60).repeat(2))
    assert float((alone.argmax(1) == labels).double().mean()) > 0.75
    assert float((together.argmax(1) == labels).double().mean()) < 0.7


@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=60),
    folds=st.integers(2, 7),
    seed=st.integers(0, 1000),
    pairs=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_folds_hold_every_class_evenly_and_no_divided_group(
    labels: list[int], folds: int, seed: int, pairs: bool
) -> None:
    y = torch.tensor(labels)
    if pairs:
        y = y.repeat_interleave(2)
    groups = torch.arange(len(labels)).repeat_interleave(2) * 7 - 3 if pairs else None
    fold = divide(y, folds, seed, groups)
    used = min(folds, len(labels))
    assert set(fold.tolist()) == set(range(used))
    if pairs:
        assert torch.equal(fold[::2], fold[1::2])
        return
    for label in range(4):
        counts = torch.bincount(fold[y == label], minlength=used)
        assert int(counts.max() - counts.min()) <= 1


def test_one_group_alone_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="one group"):
        out_of_fold(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]), 2, groups=torch.zeros(4, dtype=torch.int64))


def test_a_constant_feature_counts_for_nothing() -> None:
    x, y = clouds(60, 5, 3, apart=0.5)
    more = torch.cat([x, torch.full((60, 1), 1234.5)], 1)
    plain, padded = fit_head(x, y, 3), fit_head(more, y, 3)
    torch.testing.assert_close(padded.logits(more), plain.logits(x), atol=1e-3, rtol=1e-3)
    assert float(padded.weight[:, 5].abs().max()) < 1e-6


def test_many_classes_and_pictures_fit_in_float32_too(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(300, 20, 5, apart=0.3)
    exact = fit_head(x, y, 5)
    monkeypatch.setattr("striate.training.linear_head.DOUBLE", 0)
    monkeypatch.setattr("striate.training.linear_head.CHUNK", 500)  # and in parts
    rough = fit_head(x, y, 5)
    assert rough.penalty == pytest.approx(exact.penalty)
    torch.testing.assert_close(rough.logits(x), exact.logits(x), atol=2e-3, rtol=2e-3)


def test_features_too_many_for_principal_axes_give_the_same_head(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(100, 15, 3, apart=0.3)
    usual = fit_head(x, y, 3)
    monkeypatch.setattr("striate.training.linear_head.MOST_AXES", 4)
    torch.testing.assert_close(fit_head(x, y, 3).logits(x), usual.logits(x), atol=2e-3, rtol=2e-3)


def test_lbfgs_finds_the_minimum_of_a_badly_scaled_bowl() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(12, 12, generator=generator, dtype=torch.float64) * torch.logspace(-2, 2, 12).double()
    matrix = factor.T @ factor + 1e-3 * torch.eye(12).double()
    target = torch.randn(12, generator=generator, dtype=torch.float64)

    def bowl(x: Tensor) -> tuple[float, Tensor]:
        return float(0.5 * x @ matrix @ x - target @ x), matrix @ x - target

    found = minimise(bowl, torch.zeros(12).double(), 1 / matrix.diagonal(), tolerance=1e-18)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, target), rtol=1e-4, atol=1e-6)
