"""fp32 or bf16? A race of a few real training steps on the real network decides, and is recorded."""

from __future__ import annotations

import copy
import time

import torch

from striate.core.device import synchronize
from striate.core.settings import Precision
from striate.data.loader import Batch
from striate.models import Classifier
from striate.training.loss import classification_loss

STEPS = 3
MARGIN = 1.1


def race(model: Classifier, batch: Batch) -> dict[str, float | str]:
    """Return {'fp32_ms', 'bf16_ms', 'chosen'}: the fastest of three training steps in each precision.

    bf16 is chosen where it is at least 10 % faster. The network itself is left as it is: a copy runs.

    Args:
        batch: On the network's device.
    """
    times = {precision: _step_time(copy.deepcopy(model), batch, precision) for precision in ("fp32", "bf16")}
    chosen = "bf16" if times["fp32"] > MARGIN * times["bf16"] else "fp32"
    return {
        "fp32_ms": round(1e3 * times["fp32"], 2),
        "bf16_ms": round(1e3 * times["bf16"], 2),
        "chosen": chosen,
    }


def _step_time(model: Classifier, batch: Batch, precision: Precision) -> float:
    device = batch.images.device
    model.train()
    times = []
    for _ in range(STEPS + 1):  # the first step also chooses kernels
        synchronize(device)
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(batch.images)
        classification_loss(logits.float(), batch.targets, batch.multi_label).backward()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])  # what else the machine does can only make a step slower
