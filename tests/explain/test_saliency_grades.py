"""Deletion, insertion, rank correlation and the grade: by hand, by SciPy, and by networks trained and not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr
from torch import Tensor, nn

from striate.explain.saliency.chapter import has_learned
from striate.explain.saliency.deletion import cell_means, deletion_and_insertion, random_orders
from striate.explain.saliency.grade import grade_maps, graded
from striate.explain.saliency.maps import METHODS, saliency
from striate.explain.saliency.randomise import randomised, rank_correlation
from striate.models import Classifier


class Spot(Classifier):
    """Says class 1 by as much as there is in one cell of the picture, 7×7 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = nn.Identity()
        self.zero = nn.Parameter(torch.zeros(()))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.stage(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        return torch.stack([features[:, 0, 2, 3] * 0, features[:, 0, 2, 3]], 1) + self.zero

    def stages(self) -> dict[str, nn.Module]:
        return {"stage": self.stage}

    def replace_head(self, classes: int) -> None:
        raise NotImplementedError


def test_curves_of_the_one_cell_that_counts():
    model, inputs, targets = Spot(), torch.full((1, 1, 7, 7), 4.0), torch.tensor([1])
    best = torch.zeros(1, 7, 7)
    best[0, 2, 3] = 1
    curves = deletion_and_insertion(model, inputs, best, targets, steps=7)
    with_it, without = 1 / (1 + np.exp(-4)), 0.5
    np.testing.assert_allclose(curves.insertion[0], [without] + [with_it] * 7, rtol=1e-6)
    np.testing.assert_allclose(curves.deletion[0], [with_it] + [without] * 7, rtol=1e-6)
    assert float(curves.insertion_score) == pytest.approx((without + with_it) / 2 / 7 + with_it * 6 / 7)
    assert float(curves.deletion_score) == pytest.approx((without + with_it) / 2 / 7 + without * 6 / 7)
    assert float(curves.gap) == pytest.approx(with_it - without)
    worst = deletion_and_insertion(model, inputs, -best, targets, steps=7, chance=curves.chance)
    assert worst.insertion_score < curves.chance_score < curves.insertion_score
    assert worst.deletion_score > curves.chance_score > curves.deletion_score


def test_random_orders_are_the_same_every_time_and_leave_the_generator_alone():
    model, inputs, targets = Spot(), torch.full((2, 1, 7, 7), 4.0), torch.tensor([1, 1])
    state = torch.get_rng_state()
    first = random_orders(model, inputs, targets)
    assert first.equal(random_orders(model, inputs, targets))
    assert state.equal(torch.get_rng_state())
    assert first.shape == (2, 15)


@given(st.integers(1, 40), st.integers(1, 40))
def test_cells_are_means_of_squares_a_seventh_of_the_side(height, width):
    values = torch.randn(1, height, width, generator=torch.Generator().manual_seed(height))
    side = int(np.ceil(max(height, width) / 7))
    rows = [
        [values[0, i : i + side, j : j + side].mean() for j in range(0, width, side)] for i in range(0, height, side)
    ]
    torch.testing.assert_close(cell_means(values)[0], torch.tensor(rows), rtol=1e-4, atol=1e-5)


@given(arrays(np.float32, (2, 3, 12), elements=st.integers(-3, 3).map(float)))
def test_rank_correlation_is_scipys_and_0_for_rows_without_order(values):
    found = rank_correlation(torch.tensor(values[0]), torch.tensor(values[1]))
    for a, b, rho in zip(values[0], values[1], found.tolist(), strict=True):
        even = np.ptp(a) == 0 or np.ptp(b) == 0
        assert rho == pytest.approx(0.0 if even else spearmanr(a, b).statistic, abs=1e-9)


@pytest.mark.parametrize(
    ("figures", "word", "reason"),
    [
        ({}, "good", ""),
        ({"gap": 0.05}, "fails", "empty picture"),
        ({"correlation": 0.7}, "fails", "the same map"),
        ({"correlation": 0.5}, "weak", "a similar map"),
        ({"insertion": 0.44}, "weak", "showing it"),
        ({"insertion": 0.33}, "fails", "random places matter"),
        ({"deletion": 0.46, "insertion": 0.7}, "weak", "taking it away"),
        ({"deletion": 0.42, "insertion": 0.55}, "weak", "little better"),
        ({"blank": "it is the same everywhere"}, "fails", "blank"),
        ({"learned": False}, "fails", "by chance"),
    ],
)
def test_the_rule(figures, word, reason):
    usual = {"deletion": 0.3, "insertion": 0.6, "chance": 0.45, "gap": 0.8, "correlation": 0.1}
    grade = graded(**{**usual, **figures})
    assert grade.word == word
    assert reason in grade.reason
    assert graded(**usual).gain == pytest.approx(0.15 / 0.8)


def words_of(model, subject, learned: bool = True) -> Counter:
    inputs = subject.inputs(subject.pictures.images[:8])
    twins = [randomised(model, seed) for seed in (1, 2)]
    words: Counter = Counter()
    for method in METHODS:
        words.update(grade.word for grade in grade_maps(model, inputs, saliency(model, inputs, method), twins, learned))
    return words


def test_a_trained_network_gets_good_grades_and_a_randomised_one_fails_everywhere(digits_subject):
    trained = words_of(digits_subject.model, digits_subject)
    assert trained["good"] >= 12  # of 32; integrated gradients and occlusion alone give 16
    for seed in (11, 12, 13):
        assert words_of(randomised(digits_subject.model, seed), digits_subject) == {"fails": 32}


def test_a_network_that_is_known_to_have_learned_nothing_fails_whatever_its_maps(digits_subject):
    assert words_of(digits_subject.model, digits_subject, learned=False) == {"fails": 32}
    assert has_learned(digits_subject.evaluation)
