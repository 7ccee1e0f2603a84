"""Probabilities out of fold by the default network: each picture's by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from striate.core.device import choose_device
from striate.core.random import Stream, uniform
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.loader import in_order
from striate.evaluation import evaluate
from striate.models import build, place
from striate.runs.config import RunConfig
from striate.runs.folder import Run
from striate.training.loop import train
from striate.training.plan import Plan, make_plan
from striate.version import __version__

FOLDS = 5
MOST_EPOCHS = 8
_ROUND = 3  # of the splits that are drawn from one seed


def fold_numbers(labels: Tensor, folds: int, seed: int) -> Tensor:
    """Return the fold of each picture, int64 N: every class is dealt out evenly, in a seeded order.

    Args:
        labels: int64 N.
        folds: Their number.
        seed: Seed of the order.
    """
    chance = uniform(seed, _ROUND, torch.arange(len(labels)), Stream.SPLIT)
    order = torch.argsort(chance, stable=True)
    order = order[torch.argsort(labels[order], stable=True)]
    numbers = torch.empty(len(labels), dtype=torch.int64)
    numbers[order] = torch.arange(len(labels)) % folds
    return numbers


def network_out_of_fold(
    whole: ImageDataset, splits: Splits, settings: TrainSettings
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, fold after fold, the numbers of its pictures (int64 n) and their probabilities (float32 n K).

    The network and its schedule are those that the plan chooses for all the pictures, in 8 epochs at most unless
    `settings` say how many; nothing is kept of it.

    Args:
        whole: The pictures, one class each.
        splits: What they come from; it says whether mirrored pictures keep their class.
        settings: As for training.
    """
    together = replace(splits, train=whole, val=None, test=None)
    quick = settings.with_values(time_budget=None, target_accuracy=None, patience=None, val_share=0.0, fixes=None)
    plan = make_plan(quick, together)
    epochs = settings.epochs or min(plan.settings.epochs or MOST_EPOCHS, MOST_EPOCHS)
    plan = make_plan(quick.with_values(epochs=epochs), together)
    folds = fold_numbers(whole.labels, FOLDS, settings.seed)
    for fold in range(FOLDS):
        inside = (folds == fold).nonzero().squeeze(1)
        if len(inside):
            others = whole.select((folds != fold).nonzero().squeeze(1))
            yield inside, _trained_and_asked(plan, replace(together, train=others), whole.select(inside))


def _trained_and_asked(plan: Plan, splits: Splits, asked: ImageDataset) -> Tensor:
    """Return the probabilities, N K, that a network trained on the splits gives pictures it has not seen."""
    precision = "fp32" if plan.settings.precision == "auto" else plan.settings.precision
    batch = min(plan.settings.batch_size or 1, len(splits.train))
    settings = plan.settings.with_values(precision=precision, batch_size=batch, checkpoint_every=1e9)
    device = choose_device(settings.device)
    torch.manual_seed(settings.seed)
    model = place(build(plan.architecture, plan.spec), device)
    _, height, width = plan.spec.input_shape
    sample = splits.train.spread(min(5000, max(1, 5000 * 32 * 32 // (height * width))))
    model.prepare(in_order(sample, plan.spec, max(1, 500 * 32 * 32 // (height * width)), device))
    config = RunConfig(
        striate=__version__,
        data=splits.source,
        fingerprint="",
        settings=settings,
        architecture=plan.architecture,
        spec=plan.spec,
    )
    with TemporaryDirectory(prefix="striate-") as folder:
        run = Run.create(Path(folder), "fold", "fold", config, {})
        try:
            for _ in train(model, splits, settings, run):
                pass
        finally:
            run.release()
    return evaluate(model, asked, plan.spec).probabilities
