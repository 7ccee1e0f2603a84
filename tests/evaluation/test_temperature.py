"""The temperature against SciPy's minimiser on the same loss, and the laws it obeys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import decide
from striate.evaluation.temperature import cross_fitted, fit_temperature

quick = settings(deadline=None, max_examples=40)


def smoothed_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Cross-entropy to targets of 1 − ε for the truth and ε over all, ε = 1 / (N + 1), written out."""
    epsilon = 1 / (len(labels) + 1)
    if labels.ndim == 1:
        targets = (1 - epsilon) * np.eye(logits.shape[1])[labels] + epsilon / logits.shape[1]
        return -float((targets * log_softmax(logits / temperature, axis=1)).sum(1).mean())
    targets = (1 - epsilon) * labels + epsilon / 2
    present, absent = log_expit(logits / temperature), log_expit(-logits / temperature)
    return -float((targets * present + (1 - targets) * absent).mean())


def scipys(logits: torch.Tensor, labels: torch.Tensor) -> float:
    z, y = logits.double().numpy(), labels.numpy()
    found = minimize_scalar(
        lambda log_t: smoothed_loss(z, y, np.exp(log_t)), bounds=(-6, 6), method="bounded", options={"xatol": 1e-9}
    )
    return float(np.exp(found.x))


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw logits and labels that have something to do with them, of one class each or of any number."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, classes, scale = draw(st.integers(5, 80)), draw(st.integers(2, 6)), draw(st.sampled_from([0.3, 1.0, 5.0]))
    logits = rng.normal(0, 2, (count, classes))
    if draw(st.booleans()):
        labels = torch.tensor(rng.random((count, classes)) < expit(logits))
    else:
        labels = torch.tensor([rng.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return torch.tensor(scale * logits, dtype=torch.float32), labels


@quick
@given(problems())
def test_it_is_scipys_minimum_of_the_same_loss(drawn) -> None:
    logits, labels = drawn
    ours, theirs = fit_temperature(logits, labels), scipys(logits, labels)
    z, y = logits.double().numpy(), labels.numpy()
    assert smoothed_loss(z, y, ours) <= smoothed_loss(z, y, theirs) + 1e-12
    assert ours == pytest.approx(theirs, rel=1e-4)  # what a minimiser that sees values alone can tell


@quick
@given(problems())
def test_the_slope_of_the_loss_is_zero_there(drawn) -> None:
    logits, labels = drawn
    z, y, inverse, h = logits.double().numpy(), labels.numpy(), 1 / fit_temperature(logits, labels), 1e-5
    h *= inverse
    lower, here, upper = (smoothed_loss(z, y, 1 / (inverse + step)) for step in (-h, 0, h))
    curvature = (lower - 2 * here + upper) / h**2
    assert abs((upper - lower) / (2 * h)) <= 1e-6 * inverse * max(curvature, 1e-3) + 1e-9


@quick
@given(problems(), st.floats(1e-3, 1e3))
def test_of_logits_c_times_as_large_it_is_c_times_as_large(drawn, factor) -> None:
    logits, labels = drawn
    logits = logits.double()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor * fit_temperature(logits, labels), rel=1e-6)


@quick
@given(problems(), st.floats(0.01, 100))
def test_no_temperature_changes_an_answer(drawn, temperature) -> None:
    logits, labels = drawn
    cooled = Calibration(temperature=temperature).apply(logits.double())
    assert torch.equal(decide(cooled, labels.ndim == 2), decide(logits.double(), labels.ndim == 2))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_finds_the_temperature_that_labels_were_drawn_with(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 5))
    labels = [rng.choice(5, p=row) for row in softmax(logits / temperature, axis=1)]
    assert fit_temperature(torch.tensor(logits), torch.tensor(labels)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("count", [10, 143, 1000])
def test_where_none_of_n_is_wrong_it_is_about_as_sure_as_the_rule_of_succession(count: int) -> None:
    labels = torch.arange(count) % 4
    logits = torch.nn.functional.one_hot(labels, 4).float()
    shares = (logits / fit_temperature(logits, labels)).softmax(1).gather(1, labels[:, None])
    # with equal margins the least loss is where the answer has the probability of its target
    assert shares.mean() == pytest.approx(1 - 0.75 / (count + 1), abs=1e-6)


def test_logits_that_say_nothing_keep_their_temperature() -> None:
    assert fit_temperature(torch.ones(5, 3), torch.arange(5) % 3) == 1.0
    assert fit_temperature(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)) == 1.0


def test_logits_worse_than_chance_are_made_all_but_even() -> None:
    labels = torch.arange(40) % 2
    logits = 3.0 * torch.nn.functional.one_hot(1 - labels, 2).float()
    shares = (logits / fit_temperature(logits, labels)).softmax(1)
    assert (shares - 0.5).abs().max() < 0.01


def test_cross_fitting_uses_no_pictures_own_label() -> None:
    rng = np.random.default_rng(1)
    logits, labels = torch.tensor(rng.normal(0, 2, (23, 3))), torch.tensor(rng.integers(0, 3, 23))
    fitted = cross_fitted(logits, labels)
    for number in range(23):
        other = labels.clone()
        other[number] = (labels[number] + 1) % 3
        assert torch.equal(cross_fitted(logits, other)[number], fitted[number])
        kept = torch.arange(23) % 5 != number % 5
        expected = logits[number] / fit_temperature(logits[kept], labels[kept])
        torch.testing.assert_close(fitted[number], expected)
    assert torch.equal(cross_fitted(logits[:1], labels[:1]), logits[:1])
