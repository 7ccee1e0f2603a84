"""The threshold of rejection: SciPy's binomial, the promise in simulated draws, and when none can be made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scipy.stats import beta, binom

from striate.evaluation.calibration import Calibration
from striate.evaluation.evaluate import from_logits
from striate.evaluation.metrics import wilson_interval
from striate.evaluation.rejection import (
    LEAST_COVERAGE,
    SURENESS,
    accepted_figures,
    binomial_cdf,
    needed_pictures,
    reject_threshold,
)
from striate.evaluation.temperature import fit_temperature

quick = settings(deadline=None, max_examples=60)


@quick
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(1e-4, 0.9))
def test_the_binomial_is_scipys(drawn, rate) -> None:
    errors, count = drawn
    assert binomial_cdf(errors, count, rate) == pytest.approx(binom.cdf(errors, count, rate), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("rate", "count"), [(0.01, 230), (0.05, 45), (0.1, 22), (0.001, 2302)])
def test_the_number_of_pictures_that_a_promise_takes(rate: float, count: int) -> None:
    assert needed_pictures(rate) == count
    assert binom.cdf(0, count, rate) <= 1 - SURENESS < binom.cdf(0, count - 1, rate)
    right = torch.ones(count, dtype=torch.bool)
    confidences = torch.linspace(0.5, 1, count)
    assert reject_threshold(confidences, right, rate) == float(confidences.min())
    assert reject_threshold(confidences[1:], right[1:], rate) is None


def looped_threshold(confidences: np.ndarray, right: np.ndarray, rate: float) -> float | None:
    """The rule as it is told: strictest first, SciPy's Clopper-Pearson bound, stop at the first that fails."""
    best = None
    for threshold in sorted(set(confidences.tolist()), reverse=True):
        accepted = confidences >= threshold
        n, wrong = int(accepted.sum()), int((accepted & ~right).sum())
        if n < max(needed_pictures(rate), LEAST_COVERAGE * len(right)):
            continue
        bound = 1.0 if wrong == n else beta.ppf(SURENESS, wrong + 1, n - wrong)
        if bound > rate:
            return best
        best = threshold
    return best


@quick
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([5, 1000]))
def test_it_is_the_rule_as_it_is_told(seed, rate, levels) -> None:
    rng = np.random.default_rng(seed)
    confidences = np.round(rng.beta(4, 1, 400) * levels) / levels  # with ties
    right = rng.random(400) < 0.3 + 0.7 * confidences
    found = reject_threshold(torch.tensor(confidences), torch.tensor(right), rate)
    assert found == looped_threshold(confidences, right, rate)


@pytest.mark.parametrize(("rate", "count"), [(0.05, 300), (0.02, 1000)])
def test_the_promise_is_kept_in_nine_of_ten_draws_and_more(rate: float, count: int) -> None:
    # an answer that all but a share u of others are surer than is wrong with probability u⁶ / 2, so that of the
    # surest share c, c⁶ / 14 is
    rng = np.random.default_rng(11)
    kept, coverage = [], []
    for _ in range(400):
        ranks = rng.random(count)
        right = rng.random(count) >= ranks**6 / 2
        threshold = reject_threshold(torch.tensor(1 - ranks), torch.tensor(right), rate)
        accepted = 0.0 if threshold is None else 1 - threshold
        kept.append(accepted**6 / 14 <= rate)
        coverage.append(accepted)
    assert np.mean(kept) >= SURENESS
    assert np.mean(coverage) > 0.75 * (14 * rate) ** (1 / 6), "and not by accepting nothing"


def test_the_promise_survives_a_temperature_fitted_to_the_same_pictures() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 6, (20_000, 4))
    labels = (softmax(logits / 1.7, axis=1).cumsum(1) > rng.random((20_000, 1))).argmax(1)
    everything, names = torch.tensor(logits), torch.tensor(labels)
    kept, found = [], 0
    for _ in range(150):
        some = torch.tensor(rng.choice(20_000, 400, replace=False))
        rule = Calibration(temperature=fit_temperature(everything[some], names[some]))
        shares = rule.apply(everything).softmax(1)
        confidences, predicted = shares.max(1)
        right = predicted == names
        threshold = reject_threshold(confidences[some], right[some], 0.1)
        accepted = confidences >= (2.0 if threshold is None else threshold)
        kept.append(threshold is None or float((~right[accepted]).double().mean()) <= 0.1)
        found += threshold is not None
    assert np.mean(kept) >= SURENESS
    assert found > 75


def test_where_the_surest_are_wrong_too_often_there_is_no_threshold() -> None:
    right = torch.arange(1000) % 10 != 0
    assert reject_threshold(torch.linspace(0, 1, 1000), right, 0.05) is None
    assert reject_threshold(torch.linspace(0, 1, 1000), right, 0.2) == 0.0


def test_a_mistake_among_the_surest_does_not_end_the_search() -> None:
    right = torch.ones(4000, dtype=torch.bool)
    right[-1] = False  # the surest of all: a wrong label
    assert reject_threshold(torch.linspace(0.1, 1, 4000), right, 0.01) == pytest.approx(0.1)


def test_figures_among_accepted_state_their_denominator() -> None:
    accepted = torch.tensor([True] * 8 + [False] * 12)
    right = torch.tensor([True] * 7 + [False] * 13)
    figures = accepted_figures(accepted, right)
    assert (figures.count, figures.correct, figures.coverage, figures.accuracy) == (8, 7, 0.4, 7 / 8)
    assert figures.interval_95 == list(wilson_interval(7, 8))
    nothing = accepted_figures(torch.zeros(5, dtype=torch.bool), torch.ones(5, dtype=torch.bool))
    assert (nothing.count, nothing.accuracy, nothing.interval_95) == (0, None, [0.0, 1.0])


def test_what_is_accepted_follows_from_the_rule() -> None:
    confidences = torch.tensor([0.2, 0.9, 0.90001, 1.0])
    assert Calibration().accepts(confidences).tolist() == [True] * 4
    assert Calibration(reject_below=0.9).accepts(confidences).tolist() == [False, True, True, True]
    assert Calibration(reject_below=0.9, error_rate=0.1).accepts(confidences).tolist() == [False, True, True, True]
    assert Calibration(error_rate=0.1).accepts(confidences).tolist() == [False] * 4, "asked for, and none found"


def test_a_label_set_is_accepted_by_the_probability_of_all_of_it() -> None:
    rng = np.random.default_rng(0)
    logits, flags = rng.normal(0, 3, (60, 3)), rng.random((60, 3)) < 0.5
    rule = Calibration(temperature=2.0, count=10, reject_below=0.6)
    result = from_logits(torch.tensor(logits, dtype=torch.float32), torch.tensor(flags), ("a", "b", "c"), "test", rule)
    shares, said = expit(logits / 2), logits >= 0
    whole = np.where(said, shares, 1 - shares).prod(1)
    assert result.accepted.tolist() == (whole >= 0.6).tolist()
    right = (said == flags).all(1)
    assert result.among_accepted.count == (whole >= 0.6).sum()
    assert result.among_accepted.correct == (right & (whole >= 0.6)).sum()
