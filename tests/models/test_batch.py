"""Batches without a gradient: as many pictures as keep each layer's output a block that the C library keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.models import Architecture, build
from striate.models.batch import KEPT_BLOCK, MOST, comfortable_batch, largest_output


def test_the_largest_output_is_that_of_the_widest_layer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(512, 2))
    assert largest_output(net, (3, 16, 16)) == 4 * 8 * 16 * 16
    assert all(module.training for module in net.modules())
    assert largest_output(nn.Sequential(nn.Conv2d(3, 1, 1)), (3, 16, 16)) == 4 * 3 * 16 * 16, "the picture itself"


@pytest.mark.parametrize(("side", "batch"), [(224, 6), (448, 1)])  # 96 maps of half the side, 4.6 and 18.4 MiB
def test_a_layers_output_stays_within_a_kept_block(make_spec, side: int, batch: int) -> None:
    spec = make_spec(channels=3, side=side, classes=2)
    model = build(Architecture(name="efficientnet-lite0"), spec)
    assert comfortable_batch(model, spec) == batch
    output = 4 * 96 * (side // 2) ** 2
    assert batch * output <= KEPT_BLOCK < (batch + 1) * output
    assert comfortable_batch(model, spec) == batch, "known from the first time"


def test_small_pictures_go_in_large_batches_and_every_thread_gets_one(make_spec, monkeypatch) -> None:
    small = make_spec(channels=1, side=8)
    assert comfortable_batch(build(Architecture(name="fast"), small), small) == MOST
    large = make_spec(channels=3, side=448, classes=2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert comfortable_batch(build(Architecture(name="efficientnet-lite0"), large), large) == 4
