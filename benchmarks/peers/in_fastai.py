"""A document's network by fastai's Learner: python -m benchmarks.peers.in_fastai NETWORK FOLDER."""

from __future__ import annotations

import time
from functools import partial

import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper

from benchmarks.documents.program import DEVICE
from benchmarks.peers.task import read_task, report


class Clock(Callback):  # type: ignore[misc]
    """Takes the time of the training epochs, and leaves measuring between them out."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_train(self) -> None:
        """Start."""
        self.start = time.perf_counter()

    def after_train(self) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self.start)

    def before_validate(self) -> None:
        """Leave it out."""
        raise CancelValidException


def main() -> None:
    task = read_task(__doc__)
    # no workers, which are slower where nothing is to be decoded; an incomplete last batch is left out, as by default
    loaders = DataLoaders.from_dsets(task.train, task.test, bs=task.program.batch_size, num_workers=0, device=DEVICE)
    rates = dict(task.program.rates)
    rate = rates.pop("lr")
    opt_func = partial(OptimWrapper, opt=task.program.rule, **rates)
    network = task.program.network()
    learner = Learner(loaders, network, loss_func=task.program.loss, opt_func=opt_func, lr=rate)
    clock = Clock()
    with learner.no_logging():
        learner.fit(task.epochs, cbs=clock)
        outputs, labels = learner.get_preds(dl=loaders.valid, act=torch.nn.Identity())
    accuracy = float((task.program.decide(outputs) == labels).float().mean())
    report(task, sum(parameter.numel() for parameter in network.parameters()), clock.seconds, accuracy)


if __name__ == "__main__":
    main()
