"""Timing: how long a piece of work takes, after it has been done once to warm up."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from striate.core import clock
from striate.core.device import synchronize


def times(work: Callable[[], object], device: torch.device, count: int, limit: float = math.inf) -> list[float]:
    """Return the seconds of each of `count` repetitions, of fewer (one at least) where they take more than `limit`.

    A first time, which also chooses kernels, is not among them; the device has finished before each look at the clock.
    """
    work()
    seconds: list[float] = []
    while len(seconds) < count and sum(seconds) <= limit:
        synchronize(device)
        start = clock.now()
        work()
        synchronize(device)
        seconds.append(clock.now() - start)
    return seconds
