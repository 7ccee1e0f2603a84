"""fp32 or bf16? A race of a few real training steps on the real network decides, and is recorded."""

from __future__ import annotations

import copy

import torch

from striate.core.settings import Precision
from striate.data.loader import Batch
from striate.models import Classifier
from striate.training.loss import classification_loss
from striate.training.timing import times

STEPS = 3
MARGIN = 1.1


def race(model: Classifier, batch: Batch) -> dict[str, float | str]:
    """Return {'fp32_ms', 'bf16_ms', 'chosen'}: the fastest of three training steps in each precision.

    bf16 is chosen where it is at least 10 % faster. The network itself is left as it is: a copy runs.

    Args:
        batch: On the network's device.
    """
    seconds = {precision: _step_time(copy.deepcopy(model), batch, precision) for precision in ("fp32", "bf16")}
    chosen = "bf16" if seconds["fp32"] > MARGIN * seconds["bf16"] else "fp32"
    return {
        "fp32_ms": round(1e3 * seconds["fp32"], 2),
        "bf16_ms": round(1e3 * seconds["bf16"], 2),
        "chosen": chosen,
    }


def _step_time(model: Classifier, batch: Batch, precision: Precision) -> float:
    device = batch.images.device
    model.train()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(batch.images)
        classification_loss(logits.float(), batch.targets, batch.multi_label).backward()

    return min(times(step, device, STEPS))  # what else the machine does can only make a step slower
