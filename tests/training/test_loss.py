"""The losses: the documents' values, their formulas in NumPy, and the ways of one class or several."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax
from sklearn.metrics import log_loss

from striate.data.loader import Batch
from striate.models.contract import MODELS
from striate.models.one_logit import OneLogit
from striate.training.loss import binary_cross_entropy, classification_loss, cross_entropy
from striate.training.precision import race

SMOOTHING = st.sampled_from([0.0, 0.1, 0.5])
SEEDS = st.integers(0, 2**32 - 1)


def test_binary_cross_entropy_on_logits_and_on_probabilities_is_the_documents_value():
    logit, target = torch.tensor([[0.8]]), torch.tensor([[1.0]])
    assert round(float(binary_cross_entropy(logit, target)), 4) == 0.3711
    assert round(float(F.binary_cross_entropy(logit.sigmoid(), target)), 4) == 0.3711


def test_cross_entropy_on_logits_and_likelihood_of_log_probabilities_is_the_documents_value():
    logits, target = torch.tensor([[1.5, 0.8, 2.1]]), torch.tensor([2])
    assert round(float(cross_entropy(logits, target)), 4) == 0.5996
    assert round(float(F.nll_loss(logits.log_softmax(1), target)), 4) == 0.5996


@given(seed=SEEDS, smoothing=SMOOTHING)
@settings(deadline=None, max_examples=40)
def test_both_are_their_formulas(seed, smoothing):
    rng = np.random.default_rng(seed)
    z, y, labels = rng.normal(0, 3, (7, 4)), rng.random((7, 4)), rng.integers(0, 4, 7)
    t = y * (1 - smoothing) + smoothing / 2
    expected = -(t * np.log(expit(z)) + (1 - t) * np.log(expit(-z))).mean()
    logits = torch.from_numpy(z)
    assert float(binary_cross_entropy(logits, torch.from_numpy(y), smoothing)) == pytest.approx(expected)
    assert float(classification_loss(logits, torch.from_numpy(y), True, smoothing)) == pytest.approx(expected)
    t = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    expected = -(t * log_softmax(z, 1)).sum(1).mean()
    assert float(cross_entropy(logits, torch.from_numpy(labels), smoothing)) == pytest.approx(expected)
    assert float(classification_loss(logits, torch.from_numpy(labels), False, smoothing)) == pytest.approx(expected)


def test_of_several_outputs_it_is_the_mean_of_scikit_learns_log_losses():
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 3, (20, 3)), rng.random((20, 3)) < 0.5
    expected = np.mean([log_loss(y[:, k], expit(z[:, k])) for k in range(3)])
    assert float(binary_cross_entropy(torch.from_numpy(z), torch.from_numpy(y).double())) == pytest.approx(expected)


@given(seed=SEEDS, smoothing=SMOOTHING)
@settings(deadline=None, max_examples=20)
def test_one_logistic_output_is_a_softmax_of_two(seed, smoothing):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(9, 1, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (9,), generator=generator)
    single = cross_entropy(F.pad(z, (1, 0)), labels, smoothing)
    torch.testing.assert_close(single, binary_cross_entropy(z, labels[:, None].double(), smoothing))


def test_the_network_of_one_logit_has_the_binary_loss_and_its_gradients():
    torch.manual_seed(0)
    net = MODELS["mnist-cnn"]((1, 28, 28), 1).eval()
    images, labels = torch.randn(6, 1, 28, 28), torch.tensor([0, 1, 1, 0, 1, 0])
    losses = [
        cross_entropy(OneLogit(net)(images), labels),
        binary_cross_entropy(net(images), labels[:, None].float()),
    ]
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, list(net.parameters())) for loss in losses]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_race_of_precisions_runs_on_label_sets():
    flags = torch.rand(8, 3) < 0.5
    batch = Batch(torch.randn(8, 1, 28, 28), flags.float(), flags, torch.arange(8))
    result = race(MODELS["mnist-cnn"]((1, 28, 28), 3), batch)
    assert result["chosen"] in ("fp32", "bf16")
