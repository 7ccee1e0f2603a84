"""The losses against NumPy, the paper's sums, and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from striate.style.losses import content_loss, gram, outside, style_loss, total_variation


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_maps_of_two_positions_by_hand():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]])  # 1 2 1 2
    assert gram(maps).tolist() == [[(1 + 4) / 2, (3 + 10) / 2], [(3 + 10) / 2, (9 + 25) / 2]]
    target = torch.zeros_like(maps)
    assert float(content_loss(maps, target)) == (1 + 4 + 9 + 25) / 4
    # (2.5² + 2 · 6.5² + 17²) / (4 · 2²)
    assert float(style_loss([gram(maps)], [gram(target)])) == (6.25 + 2 * 42.25 + 289) / 16


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_the_style_loss_is_the_papers_where_both_pictures_have_one_size(k, h, w, seed):
    """Σ_l (1/L) Σ_ij (A_ij − G_ij)² / (4 k² m²), A and G being sums over the m positions."""
    layers = [(drawn(1, k + n, h, w, seed=seed), drawn(1, k + n, h, w, seed=seed + 100)) for n in range(3)]
    expected = 0.0
    for own, target in layers:
        f, p = (maps.numpy()[0].reshape(maps.shape[1], -1) for maps in (own, target))
        sums = np.einsum("ip,jp->ij", f, f) - np.einsum("ip,jp->ij", p, p)
        expected += (sums**2).sum() / (4 * len(f) ** 2 * (h * w) ** 2) / len(layers)
    got = style_loss([gram(own) for own, _ in layers], [gram(target) for _, target in layers])
    assert float(got) == pytest.approx(expected, rel=1e-10)


def test_a_picture_and_the_same_twice_side_by_side_have_one_style():
    maps = drawn(1, 3, 4, 5)
    torch.testing.assert_close(gram(torch.cat([maps, maps], 3)), gram(maps))


def test_total_variation_by_hand():
    picture = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    assert float(total_variation(picture)) == (0 + 4) / 2 + (1 + 9) / 2
    assert float(total_variation(torch.full((1, 3, 4, 5), 0.3))) == 0
    assert float(total_variation(torch.ones(1, 3, 1, 1))) == 0
    assert float(total_variation(torch.tensor([[[[0.0, 2.0]]]]))) == 4


def test_only_values_outside_of_0_and_1_are_held_against_a_picture():
    assert float(outside(torch.tensor([-0.5, 0.0, 0.5, 1.0, 3.0]))) == pytest.approx((0.25 + 4) / 5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: content_loss(x, drawn(1, 2, 3, 4, seed=1)),
        lambda x: style_loss([gram(x)], [gram(drawn(1, 2, 3, 4, seed=1))]),
        total_variation,
        outside,
    ],
    ids=["content", "style", "variation", "outside"],
)
def test_gradients_are_those_of_finite_differences(loss: Callable[[Tensor], Tensor]):
    point = drawn(1, 2, 3, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(point), point)
    step = 1e-6
    for number in range(point.numel()):
        move = torch.zeros(point.numel(), dtype=torch.float64)
        move[number] = step
        move = move.view_as(point)
        with torch.no_grad():
            difference = float(loss(point + move) - loss(point - move)) / (2 * step)
        assert float(gradient.flatten()[number]) == pytest.approx(difference, rel=1e-6, abs=1e-8)
