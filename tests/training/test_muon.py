"""Muon against the singular value decomposition and its update rule written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from striate.core.settings import OptimizerSettings
from striate.models import MODELS
from striate.training.muon import COEFFICIENTS, muon, orthogonalize, orthogonalize_filters
from striate.training.optimizer import Optimizer, hidden_filters


def matrix_with(values: np.ndarray, shape: tuple[int, int], seed: int = 0) -> Tensor:
    """Return a matrix with the given singular values, float64."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], len(values))))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], len(values))))
    return torch.from_numpy(left * values @ right.T)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 5), st.integers(0, 1000))
def test_singular_vectors_stay_and_each_value_goes_through_the_polynomial(rows, columns, steps, seed) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.01, 1, min(rows, columns))
    matrix = matrix_with(values, (rows, columns), seed)
    left, seen, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
    wanted = seen / np.linalg.norm(seen)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        wanted = a * wanted + b * wanted**3 + c * wanted**5
    np.testing.assert_allclose(orthogonalize(matrix, steps).numpy(), left * wanted @ right, atol=1e-9)


@pytest.mark.parametrize("shape", [(8, 8), (8, 72), (72, 8)])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_after_five_steps_singular_values_are_in_the_known_band(shape, kind) -> None:
    values = np.geomspace(0.02, 1, 8)  # over their length, 0.01 to 0.6
    made = orthogonalize(matrix_with(values, shape).to(kind), steps=5)
    assert made.dtype == kind
    assert made.shape == shape
    after = np.linalg.svd(made.double().numpy(), compute_uv=False)
    assert after.min() > 0.66
    assert after.max() < 1.22


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (16, 1, 3, 3), (4, 40)])
def test_random_filters_come_near_the_orthogonal_factor(shape) -> None:
    filters = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, _, right = np.linalg.svd(filters.reshape(len(filters), -1).numpy(), full_matrices=False)
    exact = left @ right
    near = orthogonalize_filters([filters], steps=5)[0].reshape(len(filters), -1).numpy()
    cosine = (near * exact).sum() / np.linalg.norm(near) / np.linalg.norm(exact)
    assert cosine > 0.97


def test_a_batch_is_each_matrix_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 4, 3, 3), (16, 8, 1, 1), (8, 4, 3, 3), (8, 36), (16, 8, 1, 1)]
    filters = [torch.randn(shape, generator=generator) for shape in shapes]
    filters[2] = filters[2].contiguous(memory_format=torch.channels_last)
    together = orthogonalize_filters(filters)
    for bank, made in zip(filters, together, strict=True):
        assert made.shape == bank.shape
        alone = orthogonalize(bank.reshape(len(bank), -1)).reshape(bank.shape)
        torch.testing.assert_close(made, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e-12, 1.0, 1e12])
def test_no_size_of_the_gradient_gives_anything_but_a_direction(factor) -> None:
    matrix = matrix_with(np.array([1.0, 0.5, 0.25]), (3, 6)).float()
    made = orthogonalize(factor * matrix)
    wanted = orthogonalize(matrix) if factor else torch.zeros(3, 6)
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("renormalize", [True, False])
def test_steps_follow_the_rule(nesterov, renormalize) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 2, 3, 3, dtype=torch.float64, generator=generator)
    expected, momentum = weight.reshape(4, -1).numpy().copy(), np.zeros((4, 18))
    buffer = torch.zeros_like(weight)
    for _ in range(4):
        gradient = torch.randn(4, 2, 3, 3, dtype=torch.float64, generator=generator)
        muon(
            [weight], [gradient], [buffer],
            lr=0.1, momentum=0.6, nesterov=nesterov, weight_decay=0.5, renormalize=renormalize,
        )  # fmt: skip
        g = gradient.reshape(4, -1).numpy()
        momentum = 0.6 * momentum + g
        left, values, right = np.linalg.svd(g + 0.6 * momentum if nesterov else momentum, full_matrices=False)
        values /= np.linalg.norm(values)
        for _ in range(3):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        expected *= math.sqrt(4) / np.linalg.norm(expected) if renormalize else 1 - 0.1 * 0.5
        expected -= 0.1 * (left * values @ right)
        np.testing.assert_allclose(weight.reshape(4, -1).numpy(), expected, atol=1e-9)
        np.testing.assert_allclose(buffer.reshape(4, -1).numpy(), momentum, atol=1e-12)


def test_a_skipped_step_changes_nothing_even_where_gradients_are_not_finite() -> None:
    weight, buffer = torch.ones(4, 4), torch.full((4, 4), 0.5)
    rule = {"lr": 0.1, "momentum": 0.6, "nesterov": True, "weight_decay": 0.1, "renormalize": True}
    muon([weight], [torch.full((4, 4), torch.nan)], [buffer], **rule, skip=torch.ones(1))
    assert torch.equal(weight, torch.ones(4, 4))
    assert torch.equal(buffer, torch.full((4, 4), 0.5))
    other, other_buffer = weight.clone(), buffer.clone()
    muon([weight], [torch.eye(4)], [buffer], **rule, skip=torch.zeros(1))
    muon([other], [torch.eye(4)], [other_buffer], **rule)
    assert torch.equal(weight, other)
    assert torch.equal(buffer, other_buffer)


def test_the_optimizer_gives_filters_to_muon_and_the_rest_to_torchs_sgd() -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(24, 3)]
        return nn.Sequential(*layers).double()

    rates = {"lr": 0.1, "sgd_lr": 0.2, "bias_lr": 8, "momentum": 0.6, "weight_decay": 0.01}
    s = OptimizerSettings.parse({"optimizer": "muon", **rates})
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, s)
    of_muon = [theirs[0].weight, theirs[3].weight]
    buffers = [torch.zeros_like(p) for p in of_muon]
    sgd = torch.optim.SGD(
        [
            {"params": [theirs[5].weight], "lr": 0.02, "weight_decay": 0.01},
            {"params": [theirs[1].weight], "lr": 0.02},
            {"params": [theirs[i].bias for i in (0, 1, 3, 5)], "lr": 8 * 0.02},
        ],
        momentum=0.6,
        nesterov=True,
    )
    for step in range(5):
        images = torch.randn(8, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        for model in (ours, theirs):
            model.zero_grad()
            model(images).square().mean().backward()
        optimizer.step(0.1)
        sgd.step()
        gradients = [p.grad for p in of_muon if p.grad is not None]
        muon(of_muon, gradients, buffers, lr=0.1, momentum=0.6, nesterov=True, weight_decay=0.01, renormalize=True)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(MODELS))
def test_what_muon_leaves_out_is_the_layer_that_makes_the_logits(name) -> None:
    with torch.device("meta"):
        model = MODELS[name]((1, 64, 64), 4)
        matrices = {id(p) for p in model.parameters() if p.ndim >= 2}
        left_out = matrices - {id(p) for p in hidden_filters(model)}
        before = {id(p) for p in model.parameters()}
        model.replace_head(5)
        replaced = before - {id(p) for p in model.parameters()}
    assert len(left_out) == 1
    assert left_out <= replaced


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_a_step_of_infinite_loss_leaves_every_tensor_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3)).cuda()
    s = OptimizerSettings.parse({"optimizer": "muon", "lr": 0.1, "sgd_lr": 1})
    optimizer = Optimizer(model, s)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.full_like(p, torch.inf)
    optimizer.step(0.1, skip=torch.ones((), device="cuda"))
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert all(not t.any() for t in optimizer.tensors().values())
