"""The contestants of prediction do the same work, and the clock counts calls."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.inference import BATCHES, NETWORKS, clock, measure, striate_predictor, torch_eager


def test_striate_and_torch_come_to_the_same_probabilities(tmp_path: Path) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    eager = torch_eager("fast", tmp_path)(pictures)
    np.testing.assert_allclose(eager.sum(1), 1, atol=1e-6)
    for engine in ("torch", "onnx") if find_spec("onnxruntime") else ("torch",):
        np.testing.assert_allclose(striate_predictor("fast", tmp_path, engine)(pictures), eager, rtol=0, atol=1e-5)


def test_latency_is_that_of_the_calls_but_the_first(monkeypatch) -> None:
    now = iter([0.0, 2.0, 10.0, 11.0, 20.0, 24.0])  # calls of 2, 1 and 4 seconds
    calls: list[None] = []
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    latency = clock(lambda: calls.append(None), 5.0)
    assert latency.median_s == 2.0
    assert len(calls) == 4


def test_every_batch_is_measured() -> None:
    outcome = measure("torch eager", "fast", 0.0)
    assert tuple(outcome.latencies) == BATCHES
    assert outcome.probabilities.shape == (max(BATCHES), len(NETWORKS["fast"].classes))
