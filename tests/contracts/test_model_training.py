"""The Classifier contract: gradients reach the weights, and the loss falls."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.models.documents import DocumentNet
from striate.models.fast import FastNet

from .networks import CLASSES, HEAVY, built, every_model, every_own_model, made, pictures_of, small


@every_own_model  # timm starts some weights at zero, behind which gradients are zero as well
def test_gradients_reach_every_parameter(name):
    model = made(name).train()
    loss = nn.functional.cross_entropy(model(pictures_of(small(name), 8)), torch.arange(8) % CLASSES)
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad, key
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().sum()) > 0, key


@every_model
def test_network_can_be_fitted_to_a_few_pictures(name):
    torch.manual_seed(0)
    light = isinstance(made(name), DocumentNet | FastNet)
    shape = (1, 20, 20) if light else small(name)
    # without a norm these need far more than a few steps; VGG's authors started them from trained shallower ones
    model = (built(name, shape, norm="batch") if name in HEAVY else made(name, shape)).train()
    pictures, labels = pictures_of(shape, 8), torch.arange(8) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(100 if light else 40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pictures), labels)
        if float(loss.detach()) < 0.5:  # chance is ln 4 = 1.39
            return
        loss.backward()
        optimizer.step()
    pytest.fail("the loss does not fall")


@every_model
def test_bf16_step_gives_a_finite_loss_and_finite_gradients(name):
    model = made(name).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(pictures_of(small(name), 8))
    loss = nn.functional.cross_entropy(logits.float(), torch.arange(8) % CLASSES)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())
