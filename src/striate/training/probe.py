"""The probe: a few real steps and a little measuring, which say what a run costs on this machine."""

from __future__ import annotations

import copy
import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import median

from striate.core.settings import TrainSettings
from striate.data.dataset import Splits
from striate.data.loader import Batch, Loader
from striate.evaluation import evaluate
from striate.evaluation.evaluate import prediction_rows
from striate.evaluation.unknown import BANK_PICTURES
from striate.models import Classifier
from striate.models.batch import comfortable_batch
from striate.runs.costs import Costs
from striate.training.finetune import training_mode
from striate.training.finite import FiniteGuard
from striate.training.loop import only_informs, training_loss
from striate.training.optimizer import Optimizer, learning_rate
from striate.training.penalty import Penalty
from striate.training.plan import Plan
from striate.training.resizing import Resizing
from striate.training.state import TrainingState
from striate.training.timing import times

REPEATS = 5
SHARE = 0.02  # of the time budget that trying one part may take
VALIDATION_SHARE = 0.05  # of an epoch's time, as long as no validation decides anything
WRITE_RATE = 2e8  # bytes per second that are hashed, written and synced
WRITE_LEAST = 0.5  # seconds for the small files, and for Python to end


def probe(model: Classifier, data: Splits, plan: Plan, limit: float) -> Costs:
    """Return what steps, validations and the end of a run cost; training pictures stand in for those held out.

    The network is left as it is: a copy is trained.

    Args:
        model: On its device.
        data: The splits; of held-out parts only the sizes are looked at.
        plan: Complete.
        limit: Seconds that trying one part may take, beyond a first and a second time.
    """
    settings, spec = plan.settings, plan.spec
    assert settings.batch_size is not None
    device = next(model.parameters()).device
    loader = Loader(data.train, spec, settings, settings.batch_size, settings.seed, device)
    indices = loader.indices(0, 0).to(device)
    drawn = loader.draw(0, indices)  # which the loop does for many batches at a time
    resizing = Resizing(settings.small_until or 0.0, spec.input_shape[1:])

    def step_of(next_batch: Callable[[], Batch]) -> float:
        return median(times(_step(model, next_batch, settings), device, REPEATS, limit))

    def small_batch() -> Batch:
        batch = loader.make(indices, drawn)
        return replace(batch, images=resizing.shrink(batch.images))

    step = step_of(lambda: loader.make(indices, drawn))
    small_step = step_of(small_batch) if resizing.until else None

    # no more pictures than can be trained on in that time: measuring one takes less
    sample = data.train.first(max(1, min(comfortable_batch(model, spec), int(limit / step * len(indices)))))

    def measure() -> None:
        result = evaluate(model, sample, spec)
        csv.writer(io.StringIO()).writerows(prediction_rows(result, sample))

    def seconds_each(work: Callable[[], object]) -> float:
        return median(times(work, device, REPEATS, limit)) / len(sample)

    held_out = sum(len(pictures) for part, pictures in data.parts().items() if part != "train")
    if data.val is not None:  # which is compared with some training pictures, of one view each (evaluation/unknown)
        held_out += (len(data.val) + min(BANK_PICTURES, len(data.train))) // spec.views
    finish = seconds_each(measure) * held_out + WRITE_LEAST + _bytes_written(model, settings) / WRITE_RATE
    validation = 0.0
    if data.val is not None:
        bf16 = only_informs(settings, last=False)
        validation = seconds_each(lambda: evaluate(model, sample, spec, "val", bf16=bf16)) * len(data.val)
    share = validation / (len(loader) * step)
    decides = settings.patience is not None or settings.target_accuracy is not None
    every = 1 if decides else max(1, math.ceil(share / VALIDATION_SHARE))
    return Costs(
        step=step,
        small_step=small_step,
        small_until=resizing.until,
        validation=validation,
        finish=finish,
        epoch_steps=len(loader),
        validate_every=every,
    )


def _step(model: Classifier, next_batch: Callable[[], Batch], settings: TrainSettings) -> Callable[[], None]:
    """Return what does to a copy of the network all that the loop does in one step, at a rate of almost nothing."""
    trial = copy.deepcopy(model)
    training_mode(trial, settings)
    device = next(trial.parameters()).device
    optimizer, penalty, guard = Optimizer(trial, settings), Penalty(trial, settings), FiniteGuard(device, None)
    state = TrainingState(trial, optimizer, settings, device, steps=1)
    rate = 1e-6 * learning_rate(settings, 0.5)

    def step() -> None:
        batch = next_batch()
        optimizer.zero_grad()
        loss, logits = training_loss(trial, batch, settings)
        (loss + penalty() if penalty else loss).backward()
        guard.watch(trial, loss.detach(), state.step)
        optimizer.step(rate, skip=guard.skip)
        state.after_step(loss.detach(), logits, batch.labels)

    return step


def _bytes_written(model: Classifier, settings: TrainSettings) -> int:
    """Return the size of the last checkpoint and the model file."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    kept = [settings.ema is not None, settings.patience is not None, settings.optimizer in ("adam", "adamw")]
    return int(weights) * (3 + sum(kept))  # the weights in both, the optimizer's, and what else there is
