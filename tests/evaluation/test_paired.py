"""Two networks on the same pictures: against scipy, published figures, and what is counted out in full."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom, binomtest, multinomial

from striate.evaluation.metrics import Z_95
from striate.evaluation.paired import (
    difference_interval,
    exact_interval,
    holm,
    mcnemar_exact,
    pictures_needed,
    score_interval,
)

quick = settings(deadline=None, max_examples=60)
counts = st.integers(0, 300)
# 161 patients before and after a therapy: success only before it, only after it (Cavo et al. 2012; the figures are
# those of the R package contingencytables)
ONLY_BEFORE, ONLY_AFTER, PATIENTS = 6, 16, 161


@quick
@given(counts, counts)
def test_mcnemars_exact_test_is_the_two_sided_binomial_one(lost, gained):
    expected = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert mcnemar_exact(lost, gained) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)


def test_mcnemars_exact_test_gives_published_and_hand_counted_values():
    assert mcnemar_exact(ONLY_BEFORE, ONLY_AFTER) == pytest.approx(0.052479, abs=5e-7)
    assert mcnemar_exact(0, 5) == 2 / 2**5
    assert mcnemar_exact(1, 4) == 2 * (1 + 5) / 2**5
    assert mcnemar_exact(3, 3) == mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(20_000, 20_500) == pytest.approx(binomtest(20_000, 40_500).pvalue, rel=1e-6)


def test_holm_adjusts_as_counted_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.04]) == [0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_his_step_down_procedure_rejects(p_values, level):
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for rank, place in enumerate(order):
        if (len(p_values) - rank) * p_values[place] >= level:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(p_values)) if p < level} == rejected


def test_the_interval_is_the_published_one():
    low, high = score_interval(lost=ONLY_AFTER, gained=ONLY_BEFORE, count=PATIENTS)
    assert (low, high) == (pytest.approx(-0.1240, abs=5e-5), pytest.approx(-0.0054, abs=5e-5))


@pytest.mark.parametrize(("lost", "gained", "count"), [(3, 9, 40), (12, 1, 60), (5, 5, 25), (40, 20, 160)])
def test_the_interval_ends_where_the_score_test_begins_to_reject(lost, gained, count):
    """By another way: the likelihood under a given difference is maximised numerically."""

    def score(difference: float) -> float:
        def cost(share: float) -> float:  # of lost pictures; `share + difference` are gained
            rest = 1 - 2 * share - difference
            terms = ((lost, share), (gained, share + difference), (count - lost - gained, rest))
            return -sum(n * math.log(p) for n, p in terms if n)

        low, high = max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12
        share = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
        deviation = math.sqrt((2 * share + difference - difference**2) / count)
        return ((gained - lost) / count - difference) / deviation

    low, high = score_interval(lost, gained, count)
    observed = (gained - lost) / count
    assert low == pytest.approx(brentq(lambda d: score(d) - Z_95, -0.9, observed), abs=1e-5)
    assert high == pytest.approx(brentq(lambda d: score(d) + Z_95, observed, 0.9), abs=1e-5)


@quick
@given(counts, counts, counts)
def test_the_interval_holds_what_was_observed_and_turns_round_with_the_runs(lost, gained, same):
    count = lost + gained + same
    low, high = score_interval(lost, gained, count)
    assert -1 <= low <= high <= 1
    other_low, other_high = score_interval(gained, lost, count)
    assert (other_low, other_high) == (pytest.approx(-high, abs=1e-9), pytest.approx(-low, abs=1e-9))
    if count:
        assert low - 1e-12 <= (gained - lost) / count <= high + 1e-12


def test_where_no_picture_differs_the_interval_is_still_not_a_point():
    expected = Z_95**2 / (200 + Z_95**2)
    assert score_interval(0, 0, 200) == (pytest.approx(-expected), pytest.approx(expected))
    assert score_interval(0, 0, 0) == (-1, 1)
    assert score_interval(0, 9, 9)[1] == 1


@pytest.mark.parametrize(("lost", "gained"), [(0.02, 0.08), (0.1, 0.1), (0.15, 0.05)])
def test_the_interval_covers_the_truth_in_about_95_of_100_cases(lost, gained):
    count = 60
    covered = 0.0
    for a in range(count + 1):
        for b in range(count + 1 - a):
            chance = multinomial.pmf([a, b, count - a - b], count, [lost, gained, 1 - lost - gained])
            if chance > 1e-9:
                low, high = score_interval(a, b, count)
                covered += chance * (low <= gained - lost <= high)
    assert 0.93 < covered < 0.98


@pytest.mark.parametrize(("lost", "gained", "count"), [(4, 12, 200), (10, 13, 100), (30, 60, 1000), (0, 3, 60)])
def test_so_many_pictures_tell_the_difference_in_four_cases_of_five(lost, gained, count):
    needed = pictures_needed(lost, gained, count)
    rng = np.random.default_rng(0)
    differing = rng.binomial(needed, (lost + gained) / count, 20_000)
    ours = rng.binomial(differing, gained / (lost + gained))
    p_values = 2 * binom.cdf(np.minimum(ours, differing - ours), differing, 0.5)
    assert np.mean(p_values < 0.05) == pytest.approx(0.8, abs=0.05)  # the formula is the asymptotic test's


def test_more_pictures_are_needed_for_smaller_differences_and_none_tell_no_difference():
    needed = [pictures_needed(10, gained, 1000) for gained in (30, 20, 15, 11)]
    assert all(fewer < more for fewer, more in pairwise(needed))
    assert pictures_needed(10, 20, 1000, level=0.01) > pictures_needed(10, 20, 1000)
    assert pictures_needed(10, 20, 1000) == pictures_needed(20, 10, 1000)
    assert pictures_needed(7, 7, 100) is None
    assert pictures_needed(0, 0, 0) is None


@quick
@given(counts, counts, st.integers(0, 500))
def test_the_interval_leaves_zero_out_exactly_where_the_exact_test_rejects(lost, gained, others):
    low, high = difference_interval(lost, gained, lost + gained + others)
    assert (low > 0 or high < 0) == (mcnemar_exact(lost, gained) < 0.05)


@pytest.mark.parametrize("differing", range(80))
def test_interval_and_test_agree_on_every_small_count(differing):
    for gained in range(differing + 1):
        low, high = difference_interval(differing - gained, gained, differing + 3)
        assert (low > 0 or high < 0) == (mcnemar_exact(differing - gained, gained) < 0.05)


@quick
@given(counts, counts, st.integers(1, 500))
def test_the_interval_holds_the_score_interval_and_scipys_exact_one(lost, gained, others):
    count = lost + gained + others
    low, high = difference_interval(lost, gained, count)
    score = score_interval(lost, gained, count)
    assert low <= score[0] <= (gained - lost) / count <= score[1] <= high
    if lost + gained:
        share = binomtest(gained, lost + gained).proportion_ci(0.95, "exact")
        exact = [(2 * end - 1) * (lost + gained) / count for end in share]
        assert exact_interval(lost, gained, count) == pytest.approx(exact, abs=1e-9)
        assert low <= exact[0] + 1e-9
        assert high >= exact[1] - 1e-9


def test_where_no_picture_differs_the_interval_says_how_little_is_known():
    assert difference_interval(0, 0, 200) == score_interval(0, 0, 200)
    assert difference_interval(0, 0, 0) == (-1, 1)
