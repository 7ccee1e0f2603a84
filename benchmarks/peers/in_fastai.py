"""A document's network by fastai's Learner: python -m benchmarks.peers.in_fastai NETWORK FOLDER."""

from __future__ import annotations

from functools import partial

from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch import Tensor

from benchmarks.documents.clock import Clock
from benchmarks.documents.program import DEVICE
from benchmarks.peers.task import read_task, report


class Timed(Callback):  # type: ignore[misc]
    """Takes the time of the training epochs."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def before_train(self) -> None:
        """Start."""
        self.clock.start()

    def after_train(self) -> None:
        """Stop, before the test part is measured."""
        self.clock.stop()


def main() -> None:
    task = read_task(__doc__)
    # no workers, which are slower where nothing is to be decoded; an incomplete last batch is left out, as by default
    loaders = DataLoaders.from_dsets(task.train, task.test, bs=task.program.batch_size, num_workers=0, device=DEVICE)
    rates = dict(task.program.rates)
    rate = rates.pop("lr")
    opt_func = partial(OptimWrapper, opt=task.program.rule, **rates)
    network = task.program.network()

    def accuracy(outputs: Tensor, labels: Tensor) -> Tensor:
        return (task.program.decide(outputs) == labels).float().mean()

    learner = Learner(loaders, network, loss_func=task.program.loss, opt_func=opt_func, lr=rate, metrics=accuracy)
    clock = Clock()
    with learner.no_logging():
        learner.fit(task.epochs, cbs=Timed(clock))
    accuracies = [values[-1] for values in learner.recorder.values]  # beside the losses
    report(task, sum(parameter.numel() for parameter in network.parameters()), clock, accuracies)


if __name__ == "__main__":
    main()
