"""TrainingState: what changes from step to step, and its way into a checkpoint and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from striate.core.device import sum_type
from striate.core.errors import ModelFileError
from striate.core.settings import TrainSettings
from striate.evaluation.decision import decide, is_right
from striate.models import Classifier
from striate.runs.checkpoint import Checkpoint, load_newest, save_checkpoint
from striate.runs.folder import Run
from striate.runs.model_file import check_weights
from striate.training.average import WeightAverage
from striate.training.budget import TimeBudget
from striate.training.optimizer import Optimizer
from striate.training.schedule import Schedule


class TrainingState:
    """Weights, average, optimizer, schedule, the epoch's sums and the best epoch so far.

    Args:
        model, optimizer: What is trained, and what trains it.
        settings: The run's settings.
        device: Where the sums are kept.
        steps: Steps of the whole run, as it is planned.
        budget: The run's time, where it is limited.
    """

    def __init__(
        self,
        model: Classifier,
        optimizer: Optimizer,
        settings: TrainSettings,
        device: torch.device,
        steps: int,
        budget: TimeBudget | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.average = WeightAverage(model, settings.ema)
        self.schedule = Schedule(steps)
        self.budget = budget
        self.patience = settings.patience
        self.target = settings.target_accuracy
        self.reached = False
        self.step = 0
        self.epoch = 0
        self.count = 0
        self.loss_sum = torch.zeros((), dtype=sum_type(device), device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.best_loss = math.inf
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not improved for `patience` epochs."""
        return self.patience is not None and self.epoch - self.best_epoch >= self.patience

    @property
    def ended(self) -> bool:
        """Whether training is over: by its schedule, whose last epoch is measured too, by its target or patience."""
        done = self.step >= self.schedule.steps and self.count == 0
        return done or self.reached or self.out_of_patience

    @property
    def ends_with_last(self) -> bool:
        """Whether the final weights are those after the last epoch, not of a better one before."""
        return self.reached or not self.best or self.best_epoch == self.epoch

    def after_step(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a step: average the weights, add to the epoch's sums."""
        self.step += 1
        self.average.update(self.model, self.step)
        self.loss_sum += loss.to(self.loss_sum.dtype) * len(labels)
        self.correct += is_right(decide(logits, labels.ndim == 2), labels).sum()
        self.count += len(labels)

    def after_epoch(self, model: Classifier, val_loss: float | None, val_accuracy: float | None) -> None:
        """Count an epoch, see whether it has reached the target, and keep its weights where it is the best so far."""
        self.reached = self.target is not None and val_accuracy is not None and val_accuracy >= self.target
        self.epoch += 1
        self.count = 0
        self.loss_sum, self.correct = torch.zeros_like(self.loss_sum), torch.zeros_like(self.correct)
        # a loss that is not a number is never better than anything
        if self.patience is not None and val_loss is not None and val_loss < self.best_loss:
            self.best_loss, self.best_epoch = val_loss, self.epoch
            source = self.average.tensors if self.average.decay is not None else model.state_dict()
            self.best = {name: tensor.detach().clone() for name, tensor in source.items()}

    def finish(self, model: Classifier) -> None:
        """Give the network its final weights: those that reached the target, the best epoch's, or else the last.

        The first and the last are the averaged ones, where weights are averaged.
        """
        if self.best and not self.reached:
            model.load_state_dict(self.best)
        else:
            self.average.finish(model)

    def save(self, run: Run) -> None:
        """Write a checkpoint."""
        groups = {
            "model": self.model.state_dict(),
            "average": self.average.tensors,
            "best": self.best,
            "optimizer": self.optimizer.tensors(),
            "sums": {"loss": self.loss_sum, "correct": self.correct},
        }
        tensors = {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        state = {
            "epoch": self.epoch,
            "count": self.count,
            "best_loss": None if math.isinf(self.best_loss) else self.best_loss,
            "best_epoch": self.best_epoch,
            "reached": self.reached,
            "schedule": self.schedule.pieces,
            "budget": None if self.budget is None else self.budget.state(),
            "spent": run.spent.seconds(),
            "digest": run.config.digest(),
        }
        save_checkpoint(run.checkpoints, Checkpoint(self.step, tensors, state))

    def load(self, run: Run) -> None:
        """Go on from the run's newest valid checkpoint; without one this is a fresh start.

        Raises:
            ModelFileError: No checkpoint is usable, or it is of another architecture.
        """
        checkpoint, problems = load_newest(run.checkpoints)
        run.notes.extend(problems)
        if checkpoint is None:
            run.keep_metrics_before(1)
            return

        def group(name: str) -> dict[str, Tensor]:
            prefix = f"{name}/"
            return {key.removeprefix(prefix): t for key, t in checkpoint.tensors.items() if key.startswith(prefix)}

        check_weights(self.model, group("model"), run.checkpoints)
        if checkpoint.state.get("digest") != run.config.digest():
            raise ModelFileError(
                "the checkpoint belongs to a run with other settings, network or data",
                where=run.checkpoints,
                fix="put back the checkpoints or the config.json that belong here, or start a new run",
            )
        self.model.load_state_dict(group("model"))
        self.average.load(group("average"))
        self.best = {name: tensor.to(self.loss_sum.device) for name, tensor in group("best").items()}
        self.optimizer.load(group("optimizer"))
        self.loss_sum = group("sums")["loss"].to(self.loss_sum.device)
        self.correct = group("sums")["correct"].to(self.correct.device)
        self.step = checkpoint.step
        self.epoch, self.count = checkpoint.state["epoch"], checkpoint.state["count"]
        best_loss = checkpoint.state["best_loss"]
        self.best_loss = math.inf if best_loss is None else best_loss
        self.best_epoch = checkpoint.state["best_epoch"]
        self.reached = checkpoint.state["reached"]
        self.schedule.load(checkpoint.state["schedule"])
        if self.budget is not None:
            self.budget.load(checkpoint.state["budget"])
        run.spent.before = checkpoint.state.get("spent", 0.0)  # older versions did not count it
        run.keep_metrics_before(self.epoch + 1)
