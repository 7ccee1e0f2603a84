"""The training loop: the file to read first.

Everything random is a pure function of (seed, epoch, picture) or (seed, step), every schedule of the
step, and the metrics are sums on the device. So the state of a run is its weights, their average, the
optimizer's tensors, three sums and a few numbers; saved after any step, it goes on to the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from striate.core.errors import DivergedError, Interrupted
from striate.core.paths import to_type
from striate.core.random import step_seed
from striate.core.settings import TrainSettings
from striate.data.dataset import Splits
from striate.data.loader import Batch, Loader
from striate.evaluation import evaluate
from striate.models import Classifier
from striate.runs.folder import Run
from striate.training.finite import FiniteGuard
from striate.training.loss import classification_loss
from striate.training.optimizer import Optimizer, learning_rate
from striate.training.penalty import Penalty
from striate.training.state import TrainingState
from striate.training.tripwires import LOOK_AFTER, explain_no_progress, refuse_probabilities


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to. Validation figures are None where there is no validation part.

    Args:
        epoch: From 1.
        step: Steps done since the beginning of the run.
        lr: Learning rate of the last step.
        train_loss, train_accuracy: Means over the epoch's (augmented) training pictures as they came, without
            penalties. A picture with any number of classes counts as right where all of them are.
        val_loss, val_accuracy: On the validation part, with averaged weights where they are averaged.
        seconds: Time of the epoch in this process, validation included.
        images_per_second: Training pictures per second, validation not included.
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


def training_loss(model: Classifier, batch: Batch, settings: TrainSettings) -> tuple[Tensor, Tensor]:
    """Return the mean loss and the logits (float32, N K) of one batch."""
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        logits = model(batch.images)
    logits = logits.float()
    loss = classification_loss(logits, batch.targets, batch.multi_label, settings.label_smoothing or 0.0)
    return loss, logits.detach()


def train(model: Classifier, data: Splits, settings: TrainSettings, run: Run) -> Iterator[EpochResult]:
    """Train, yielding after each epoch; what the run folder already holds is resumed.

    When the iterator is exhausted the network has its final weights: the averaged ones where they are
    averaged, those of the best epoch where training stops by patience.

    Args:
        model: On its device, channels last in memory.
        data: The splits; validation is optional.
        settings: Complete: the plan has replaced every None it is responsible for.
        run: Where checkpoints and metrics go; `run.stop_signal` asks for a stop after the current step.

    Raises:
        DivergedError: The loss or its gradient is not finite; the weights are those before that step.
        Interrupted: A stop was asked for; the state has been saved.
        ModelFileError: There are checkpoints to resume from, but none is usable.
    """
    assert settings.epochs is not None
    assert settings.batch_size is not None
    device = next(model.parameters()).device
    loader = Loader(data.train, run.spec, settings, settings.batch_size, settings.seed, device)
    steps = settings.epochs * len(loader)
    optimizer = Optimizer(model, settings)
    penalty = Penalty(model, settings)
    guard = FiniteGuard(device, settings.clip_norm)
    state = TrainingState(model, optimizer, settings, device)

    # resume: nothing to load is a fresh start
    state.load(run)
    run.progress.begin(settings.epochs, steps, state.step)
    last_save = time.monotonic()

    while state.epoch < settings.epochs and not state.out_of_patience:
        started, trained = time.monotonic(), 0
        run.progress.begin_epoch(state.epoch + 1, state.count)

        # train: one pass, or the rest of one
        model.train()
        for batch in loader.epoch(state.epoch, start=state.step - state.epoch * len(loader)):
            rate = learning_rate(settings, state.step, steps)
            torch.manual_seed(step_seed(settings.seed, state.step))  # for dropout
            optimizer.zero_grad()
            loss, logits = training_loss(model, batch, settings)
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
            if run.stop_signal is not None:
                raise _stopped(run.stop_signal, state, run, steps)
            if time.monotonic() - last_save >= settings.checkpoint_every:
                state.save(run)
                last_save = time.monotonic()
        guard.check()
        if guard.found():
            raise _diverged(guard, loader, data, run, len(loader))
        train_seconds = time.monotonic() - started

        # validate
        val_loss = val_accuracy = None
        if data.val is not None:
            with state.average.applied(model):
                measured = evaluate(model, data.val, run.spec, "val", bf16=settings.precision == "bf16")
            val_loss, val_accuracy = measured.loss, measured.accuracy

        # record
        result = EpochResult(
            epoch=state.epoch + 1,
            step=state.step,
            lr=learning_rate(settings, state.step - 1, steps),
            train_loss=float(state.loss_sum) / state.count,
            train_accuracy=int(state.correct) / state.count,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(trained / max(train_seconds, 1e-9), 1),
        )
        run.append_metrics(asdict(result))
        if state.epoch + 1 == LOOK_AFTER:
            run.notes.extend(explain_no_progress(model, loader, data.train, result.train_loss))
        state.after_epoch(model, val_loss)
        yield result
        if run.stop_signal is not None:  # asked for while validating
            raise _stopped(run.stop_signal, state, run, steps)

    state.save(run)
    state.finish(model)


def _stopped(signal_number: int, state: TrainingState, run: Run, steps: int) -> Interrupted:
    state.save(run)
    return Interrupted(
        signal_number,
        f"stopped after step {state.step} of {steps}; the state is saved",
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
