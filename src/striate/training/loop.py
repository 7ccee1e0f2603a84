"""The training loop: the file to read first.

Everything random is a pure function of (seed, epoch, picture) or (seed, step), every schedule of the
step, and the metrics are sums on the device. So the state of a run is its weights, their average, the
optimizer's tensors, three sums and a few numbers; saved after any step, it goes on to the same bits.
Where the clock decides how many steps there are, what it decided is part of that state.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from striate.core import clock
from striate.core.device import synchronize
from striate.core.errors import DivergedError, Interrupted
from striate.core.paths import to_type
from striate.core.random import start_generator, step_seed
from striate.core.settings import TrainSettings
from striate.data.dataset import Splits
from striate.data.loader import Batch, Loader
from striate.evaluation import Evaluation, SingleLabelEvaluation, evaluate
from striate.models import Classifier
from striate.runs.folder import Run
from striate.training.balance import loss_weights
from striate.training.budget import TimeBudget
from striate.training.ending import record_end
from striate.training.finetune import training_mode
from striate.training.finite import FiniteGuard
from striate.training.loss import classification_loss
from striate.training.optimizer import Optimizer, learning_rate
from striate.training.penalty import Penalty
from striate.training.resizing import Resizing
from striate.training.state import TrainingState
from striate.training.tripwires import LOOK_AFTER, explain_no_progress, refuse_probabilities


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to. Validation figures are None where there was no validation.

    Args:
        epoch: From 1.
        step: Steps done since the beginning of the run.
        lr: Learning rate of the last step.
        train_loss, train_accuracy: Means over the epoch's (augmented) training pictures as they came, without
            penalties; the loss as the classes are weighted in training. A picture with any number of classes counts
            as right where all of them are.
        val_loss, val_accuracy: On the validation part, where every picture counts the same whatever the classes'
            weights, with averaged weights of the network where they are averaged.
        seconds: Time of the epoch in this process, validation included.
        images_per_second: Training pictures per second, validation not included.
        val_balanced_loss: Mean of the classes' validation losses, where training balances the classes; patience then
            goes by it.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    images_per_second: float
    val_balanced_loss: float | None = None


def training_loss(
    model: Classifier, batch: Batch, settings: TrainSettings, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the mean loss of a batch, by the classes' weights if there are any, and the logits (float32, N K)."""
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        logits = model(batch.images)
    logits = logits.float()
    loss = classification_loss(logits, batch.targets, batch.multi_label, settings.label_smoothing or 0.0, weights)
    return loss, logits.detach()


def only_informs(settings: TrainSettings, last: bool) -> bool:
    """Return whether an epoch's validation may be as fast as training, with figures that differ a little from fp32's.

    Where a target is to be reached, and after the last step, it is the evaluation of the finished run, which then
    shows the same accuracy. With patience all epochs are measured alike, to be compared.
    """
    if settings.precision != "bf16" or settings.target_accuracy is not None:
        return False
    return settings.patience is not None or not last


def train(
    model: Classifier, data: Splits, settings: TrainSettings, run: Run, budget: TimeBudget | None = None
) -> Generator[EpochResult, None, Evaluation | None]:
    """Train, yielding after each epoch; what the run folder already holds is resumed.

    When the iterator is exhausted the network has its final weights: the averaged ones where they are
    averaged, those of the best epoch where training stops by patience, those that reached the target.
    It returns their evaluation on the validation part if the last epoch's was just that, else None.

    Args:
        model: On its device, channels last in memory.
        data: The splits; validation is optional.
        settings: Complete: the plan has replaced every None it is responsible for.
        run: Where checkpoints and metrics go; `run.stop_signal` asks for a stop after the current step.
        budget: The run's time, where it is limited: it decides the number of steps in place of `settings.epochs`.

    Raises:
        DivergedError: The loss or its gradient is not finite; the weights are those before that step.
        Interrupted: A stop was asked for; the state has been saved.
        ModelFileError: There are checkpoints to resume from, but none is usable.
    """
    assert settings.batch_size is not None
    assert settings.epochs is not None or budget is not None
    device = next(model.parameters()).device

    sampled = settings.balance == "sampling"
    loader = Loader(data.train, run.spec, settings, settings.batch_size, settings.seed, device, sampled)
    weights = loss_weights(data.train, settings.balance)
    weights = None if weights is None else weights.to(device)
    optimizer = Optimizer(model, settings)
    penalty = Penalty(model, settings)
    resizing = Resizing(settings.small_until or 0.0, run.spec.input_shape[1:])
    guard = FiniteGuard(device, settings.clip_norm)
    steps = budget.costs.steps if budget else (settings.epochs or 0) * len(loader)
    state = TrainingState(model, optimizer, settings, device, steps, budget)
    schedule = state.schedule

    # resume: nothing to load is a fresh start
    state.load(run)
    if budget and state.step == 0:
        schedule.revise(0, budget.begin())
    run.progress.begin(math.ceil(schedule.steps / len(loader)), schedule.steps, state.step)
    last_save = clock.now()
    final: Evaluation | None = None

    while not state.ended:
        started, trained = clock.now(), 0
        run.progress.begin_epoch(state.epoch + 1, state.count)

        # train: one pass, or the rest of one, or the part of one for which there is time
        training_mode(model, settings)
        for batch in loader.epoch(state.epoch, start=state.step - state.epoch * len(loader)):
            if state.step == schedule.steps:
                break
            progress = schedule.progress(state.step + 0.5)
            rate = learning_rate(settings, progress)
            batch = replace(batch, images=resizing.apply(batch.images, progress))
            start_generator(device, step_seed(settings.seed, state.step))  # for dropout
            optimizer.zero_grad()
            loss, logits = training_loss(model, batch, settings, weights)
            if state.step == 0:
                refuse_probabilities(logits, batch.multi_label)
            (loss + penalty() if penalty else loss).backward()
            guard.watch(model, loss.detach(), state.step)
            if guard.found():
                raise _diverged(guard, loader, data, run, len(loader))
            optimizer.step(rate, skip=guard.skip)
            state.after_step(loss.detach(), logits, batch.labels)

            trained += len(batch.labels)
            run.progress.after_step(len(batch.labels), rate, state.loss_sum, state.correct)
            if budget and budget.is_due() and state.step < schedule.steps:
                synchronize(device)
                schedule.revise(state.step, budget.look(state.step, schedule.progress(state.step)))
                run.progress.revise(math.ceil(schedule.steps / len(loader)), schedule.steps)
            if run.stop_signal is not None:
                raise _stopped(run.stop_signal, state, run)
            if clock.now() - last_save >= settings.checkpoint_every:
                state.save(run)
                last_save = clock.now()
        guard.check()
        if guard.found():
            raise _diverged(guard, loader, data, run, len(loader))
        train_seconds = clock.now() - started

        # validate
        val_loss = val_accuracy = balanced_loss = final = None
        if data.val is not None and (budget is None or (state.epoch + 1) % budget.costs.validate_every == 0):
            bf16 = only_informs(settings, last=state.step == schedule.steps)
            with state.average.applied(model), budget.aside() if budget else nullcontext():
                measured = evaluate(model, data.val, run.spec, "val", bf16=bf16)
            val_loss, val_accuracy = measured.loss, measured.accuracy
            if isinstance(measured, SingleLabelEvaluation) and settings.balance in ("weights", "sampling"):
                balanced_loss = measured.balanced_loss
            final = None if bf16 else measured

        # record
        result = EpochResult(
            epoch=state.epoch + 1,
            step=state.step,
            lr=learning_rate(settings, schedule.progress(state.step - 0.5)),
            train_loss=float(state.loss_sum) / state.count,
            train_accuracy=int(state.correct) / state.count,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            val_balanced_loss=balanced_loss,
            seconds=round(clock.now() - started, 3),
            images_per_second=round(trained / max(train_seconds, 1e-9), 1),
        )
        run.append_metrics(asdict(result))
        if state.epoch + 1 == LOOK_AFTER:
            run.notes.extend(explain_no_progress(model, loader, data.train, result.train_loss, settings.balance))
        state.after_epoch(model, val_loss if balanced_loss is None else balanced_loss, val_accuracy)
        yield result
        if run.stop_signal is not None:  # asked for while validating
            raise _stopped(run.stop_signal, state, run)

    state.save(run)
    state.finish(model)
    run.progress.ending = record_end(state, settings, run)
    return final if state.ends_with_last else None


def _stopped(signal_number: int, state: TrainingState, run: Run) -> Interrupted:
    state.save(run)
    return Interrupted(
        signal_number,
        f"stopped after step {state.step} of {state.schedule.steps}; the state is saved",
        fix=to_type("striate", "train", "--resume", run.path),
    )


def _diverged(guard: FiniteGuard, loader: Loader, data: Splits, run: Run, steps_per_epoch: int) -> DivergedError:
    step, loss, norm = guard.first_bad()
    indices = loader.indices(step // steps_per_epoch, step % steps_per_epoch).tolist()
    names = [data.train.names[i] for i in indices]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    run.write_json("diverged.json", {"step": step, "loss": str(loss), "gradient_norm": str(norm), "pictures": names})
    return DivergedError(
        f"loss {loss} with gradient norm {norm} at step {step}, before the update; pictures of the batch: {shown}",
        where=run.path / "diverged.json",
        fix="start a new run with a lower --lr, or with --clip-norm 1",
    )
