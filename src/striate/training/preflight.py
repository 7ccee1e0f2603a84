"""Preflight: what a run will take, told before it begins, and refused where the machine has less.

Memory and disk are counted from the network and the settings. Time is measured by a short probe of real steps, where
the multiply-adds say that the run will take long enough to be worth it.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from striate.core.errors import ResourceError
from striate.core.memory import peak_memory, require_memory, resident_memory
from striate.data.dataset import Splits
from striate.models import Classifier
from striate.models.batch import comfortable_batch
from striate.models.summary import LayerSummary, summarize
from striate.runs.checkpoint import KEEP
from striate.runs.estimate import Estimate, size_text
from striate.training.features import head_layer, in_bf16, seconds_of_features
from striate.training.plan import Plan
from striate.training.probe import probe
from striate.training.resizing import RATIO

LONG = {"cpu": 1e12, "cuda": 1e14, "mps": 2e13}  # multiply-adds that take some tens of seconds
PROBE_LIMIT = 0.05  # seconds of one part of the probe, beyond which it is not repeated
PROBE_STEPS = 200  # of a run with fewer, the probe takes smaller batches
KEPT = 1.1  # times the outputs of all layers, that training holds for one batch
FIT = 12  # times the training part's features, that fitting a head to them holds: copies of twice the precision
SURE = 0.7  # share of the memory estimated that is needed for certain
CSV_ROW = 40  # bytes of a picture's line beside its name and probabilities
SHOWN = 32  # pictures in that of the first batch
REPORT = 3 * 2**20  # bytes of the report: it has less with small pictures
OTHER_FILES = 2**19 + REPORT  # with the run folder's small files


def estimate(
    model: Classifier, data: Splits, plan: Plan, out: Path, race: Mapping[str, object] | None = None
) -> Estimate:
    """Return what the run will take. The network is left as it is.

    Args:
        model: On its device.
        data: The splits.
        plan: Complete.
        out: Folder of the run folders, which need not exist.
        race: The outcome of the race of precisions, if there was one.

    Raises:
        ResourceError: Memory or disk have less than is needed for certain.
    """
    rows = summarize(model, plan.spec.input_shape)
    needed = require_room(model, data, plan, rows)
    disk = _disk(model, data, plan)
    _require_disk(disk, out)
    on_gpu = next(model.parameters()).device.type == "cuda"
    memory = needed if on_gpu else max(peak_memory(), resident_memory() + needed)
    return Estimate(seconds=_seconds(model, data, plan, rows, race or {}), memory=memory, on_gpu=on_gpu, disk=disk)


def require_room(model: Classifier, data: Splits, plan: Plan, rows: list[LayerSummary] | None = None) -> int:
    """Return the bytes that training takes beside what is held already; to be asked before the first batch is made.

    Args:
        model: On its device.
        data: The splits.
        plan: Complete; where a race is still to choose the precision, which both run in, the larger counts.
        rows: The network's summary, where it is known.

    Raises:
        ResourceError: Less is free than is needed for certain.
    """
    rows = summarize(model, plan.spec.input_shape) if rows is None else rows
    device = next(model.parameters()).device
    only_head = plan.settings.only_head
    needed = (_head_memory if only_head else _training_memory)(model, data, plan, rows)
    work = "the features of" if only_head else f"batches of {plan.settings.batch_size}"
    remedy = "--img-size, or other weights" if only_head else "--batch-size or --img-size, or another --model"
    height, width = plan.spec.input_shape[1:]
    require_memory(
        int(SURE * needed),
        f"{work} pictures of {height} × {width}",
        where=plan.architecture.name,
        fix=f"use a smaller {remedy}",
        free=torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None,
    )
    return needed


def _seconds(
    model: Classifier, data: Splits, plan: Plan, rows: list[LayerSummary], race: Mapping[str, object]
) -> float | None:
    settings = plan.settings
    if settings.time_budget is not None:
        return settings.time_budget
    assert settings.epochs is not None or settings.transfers
    epochs = settings.epochs or 0  # of pretrained weights the head alone may be trained
    small = settings.small_until or 0.0
    trained = epochs * len(data.train) * (1 - small * (1 - RATIO**2))
    validated = epochs * len(data.val) if data.val else 0
    finished = sum(len(pictures) for part, pictures in data.parts().items() if part != "train")
    frozen = sum(map(len, data.parts().values())) if settings.transfers else 0
    # a backward pass costs twice the forward pass
    passes = 3 * trained + plan.spec.views * (validated + finished) + frozen
    device = next(model.parameters()).device.type
    if passes * sum(row.multiply_adds for row in rows) < LONG.get(device, LONG["cuda"]):
        return None
    before = seconds_of_features(model, data, plan.spec, bf16=in_bf16(settings, race)) if frozen else 0.0
    if not epochs:
        return round(before, 1)
    assert settings.batch_size is not None
    steps = epochs * math.ceil(len(data.train) / settings.batch_size)
    tried = max(2, round(settings.batch_size * min(1.0, steps / PROBE_STEPS)))
    costs = probe(model, data, replace(plan, settings=settings.with_values(batch_size=tried)), PROBE_LIMIT)
    step = costs.step * costs.full_steps(0.0, 1.0) * settings.batch_size / tried
    return round(before + steps * step + epochs * costs.validation + costs.finish, 1)


def _copies(plan: Plan) -> int:
    """Return how many times a checkpoint holds the weights: themselves, the optimizer's, their average, the best."""
    settings = plan.settings
    if settings.only_head:
        return 0  # there are no steps, and so no checkpoints
    slots = 2 if settings.optimizer in ("adam", "adamw") else 1
    return 1 + slots + (settings.ema is not None) + (settings.patience is not None)


def _training_memory(model: Classifier, data: Splits, plan: Plan, rows: list[LayerSummary]) -> int:
    """Return the bytes that training takes beside what the process holds already; on a GPU the pictures' too."""
    weights = _weight_bytes(model)
    outputs = [row.activation_bytes for row in rows] or [0]
    width = 2 if plan.settings.precision == "bf16" else 4
    kept = KEPT * sum(outputs) * width / 4 * (plan.settings.batch_size or 1)
    # where nothing is kept for a backward pass, a layer's input and output are there at a time
    largest = max(before + after for before, after in zip([0, *outputs], outputs, strict=False))
    measured = min(comfortable_batch(model, plan.spec), max(map(len, data.parts().values()))) * largest
    # its gradient; a checkpoint is made in memory before it is written
    own = weights * (_copies(plan) - 1 + 1 + _copies(plan))
    pictures = data.train.images.numel() if next(model.parameters()).device.type == "cuda" else 0
    return int(own + max(kept, measured) + pictures)


def _head_memory(model: Classifier, data: Splits, plan: Plan, rows: list[LayerSummary]) -> int:
    """Return the bytes that frozen features and a head fitted to them take beside what the process holds already."""
    parts = data.parts()
    outputs = [row.activation_bytes for row in rows] or [0]
    inputs = torch.float32.itemsize * math.prod(plan.spec.input_shape)
    largest = max(before + after for before, after in zip([inputs, *outputs], outputs, strict=False))
    batch = comfortable_batch(model, plan.spec) * (inputs + largest)
    one = torch.float32.itemsize * head_layer(model).in_features
    features = 2 * one * sum(map(len, parts.values()))  # batch by batch, then joined
    return 2 * _weight_bytes(model) + batch + features + FIT * one * len(parts["train"])


def _weight_bytes(model: Classifier) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def _disk(model: Classifier, data: Splits, plan: Plan) -> int:
    """Return the bytes of the checkpoints kept and one more being written, the model file and the tables."""
    rows = [name for part, pictures in data.parts().items() if part != "train" for name in pictures.names]
    predictions = sum(map(len, rows)) + len(rows) * (CSV_ROW + len(", 0.000000") * len(data.classes))
    files = sum(len(record.path) + CSV_ROW for record in data.files)
    hashes = torch.int64.itemsize * len(data.train)
    weights = (1 + (KEEP + 1) * _copies(plan)) * _weight_bytes(model)
    sheet = SHOWN * math.prod(plan.spec.input_shape)  # of photographs a PNG takes nearly that
    return weights + predictions + files + hashes + sheet + OTHER_FILES


def _require_disk(needed: int, out: Path) -> None:
    here = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    free = shutil.disk_usage(here).free
    if needed > free:
        raise ResourceError(
            f"the run folder needs up to {size_text(needed)}, {size_text(free)} are free",
            where=out,
            fix="free some space, or use another --out or a smaller --model",
        )
