"""Progress: where a run stands right now, written by the loop and read by whoever shows it.

The loop only sets attributes; a display looks at them when it wants to. Nothing is called back, and
reading the loss is what makes the device's value a number, so the loop itself never waits for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Progress:
    """The state of the loop.

    Args:
        epoch, epochs: The epoch under way, from 1, and how many there will be.
        step, steps: Steps done and to do in the whole run.
        images: Pictures trained on since the process started.
        lr: The learning rate of the last step.
        loss_sum, correct, count: Sums over the epoch's pictures so far, on the device.
        started: Clock when training began in this process (time.monotonic).
        ending: Why training ended, one sentence; empty where it did all its epochs and nothing else was asked for.
    """

    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    first_step: int = 0
    images: int = 0
    lr: float = 0.0
    loss_sum: Tensor | None = None
    correct: Tensor | None = None
    count: int = 0
    started: float = field(default_factory=time.monotonic)
    ending: str = ""

    def begin(self, epochs: int, steps: int, step: int) -> None:
        """Note what there is to do, and the step training goes on from."""
        self.epochs, self.steps, self.step, self.first_step = epochs, steps, step, step
        self.started = time.monotonic()

    def revise(self, epochs: int, steps: int) -> None:
        """Note that there is more or less to do than was thought."""
        self.epochs, self.steps = epochs, steps

    def begin_epoch(self, epoch: int, count: int) -> None:
        """Note that an epoch begins, or goes on after `count` of its pictures."""
        self.epoch, self.count = epoch, count

    def after_step(self, images: int, lr: float, loss_sum: Tensor, correct: Tensor) -> None:
        """Note a step on so many pictures, its learning rate, and the epoch's sums (not read here)."""
        self.step += 1
        self.images += images
        self.count += images
        self.lr, self.loss_sum, self.correct = lr, loss_sum, correct

    def images_per_second(self) -> float:
        """Return the pictures trained per second since the start."""
        return self.images / max(time.monotonic() - self.started, 1e-9)

    def seconds_left(self) -> float:
        """Return the expected time to the last step, in seconds."""
        done = self.step - self.first_step
        return (self.steps - self.step) * (time.monotonic() - self.started) / done if done else float("inf")
