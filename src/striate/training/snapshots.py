"""Snapshots of a run on its way: what its first filters and its last hidden layer were, a dozen times at most.

A run keeps its newest two checkpoints only, so what the network was in between is looked at while it is there. The
same pictures are shown to it each time, so few that this takes less than a hundredth of the training; nothing is drawn
from a generator, and no weight or statistic changes. The weights are those in training, without averaging; the last
snapshot is of what the run ends with.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from striate.core.errors import ResourceError
from striate.core.settings import TrainSettings
from striate.data.dataset import Splits
from striate.data.loader import in_order
from striate.models import Classifier
from striate.models.batch import comfortable_batch
from striate.models.contract import evaluating
from striate.models.first_filters import first_filters
from striate.models.last_layer import inputs_of, last_linear
from striate.runs.folder import Run
from striate.runs.snapshots import Moment, Snapshots, halved, read_snapshots, write_snapshots
from striate.training.budget import TimeBudget
from striate.training.loop import EpochResult
from striate.training.transfer_plan import fine_tunes

MOST_MOMENTS, LEAST_MOMENTS = 13, 3
MOST_PICTURES, LEAST_PICTURES = 100, 10
MOST_FILTERS = 64
SHARE = 0.005  # of the time of the training's forward and backward passes that the snapshots' pictures may take
BACKWARD = 3  # times a forward pass, that both together take
PICTURES_PER_MOMENT = 8  # where there is time for few of both

T = TypeVar("T")


class Sampling(NamedTuple):
    """How many moments of a run are kept, the first and last included, and what of how many pictures."""

    moments: int
    pictures: int


def sampling(trained: int, held_out: int, epochs: float) -> Sampling | None:
    """Return how much of a run may be kept at a small share of its time; None where that is too little to see.

    Args:
        trained: Pictures of an epoch.
        held_out: Pictures to choose from.
        epochs: Of the run, as far as it is known.
    """
    passes = int(SHARE * BACKWARD * trained * epochs)
    moments = min(MOST_MOMENTS, math.ceil(epochs) + 1, max(LEAST_MOMENTS, math.isqrt(passes // PICTURES_PER_MOMENT)))
    pictures = min(MOST_PICTURES, held_out, passes // moments)
    return None if epochs <= 1 or pictures < LEAST_PICTURES else Sampling(moments, pictures)


class SnapshotRecorder:
    """Takes the snapshots of one run into its folder.

    Args:
        model: The network, on its device, as training begins.
        data: The splits.
        run: The run; what its folder already has is kept.
        budget: The run's time, where it is limited.
    """

    def __init__(self, model: Classifier, data: Splits, run: Run, budget: TimeBudget | None = None) -> None:
        self.model = model
        self.run = run
        self.budget = budget
        part = "train" if data.val is None else "val"
        source = data.parts()[part]
        costs, settings = run.config.costs, run.config.settings
        epochs = (settings.epochs or 0) if costs is None else costs.epochs
        self.sampling = None if _head_alone(settings) else sampling(len(data.train), len(source), epochs)
        if self.sampling is None:
            return
        self.sample = source.spread(self.sampling.pictures)
        numbers = torch.arange(len(self.sample)) * len(source) // len(self.sample)
        self.kept = Snapshots(part, numbers, self.sample.labels, {})
        found = read_snapshots(run.path)
        if found is not None and found.part == part and found.pictures.equal(numbers):
            self.kept = replace(found, end=None)
        self.layer: str | None = None

    def recording(self, epochs: Generator[EpochResult, None, T]) -> Generator[EpochResult, None, T]:
        """Yield what the training yields and return what it returns, with snapshots taken between its epochs."""
        if self.sampling is None:
            return (yield from epochs)
        self._begin()
        try:
            while True:
                try:
                    result = next(epochs)
                except StopIteration as ended:
                    self._finish()
                    returned: T = ended.value
                    return returned
                if self._is_due(result.epoch):
                    self._keep(result.epoch)
                yield result
        finally:
            epochs.close()

    def _begin(self) -> None:
        with self._aside():
            shown = next(in_order(self.sample, self.run.spec, 1, _device(self.model)))
            with evaluating(self.model):
                self.layer = last_linear(self.model, shown)
            if 0 not in self.kept.moments:  # the network is as it begins, whatever there is to resume from
                self.kept = replace(self.kept, moments={0: self._moment(), **self.kept.moments})

    def _is_due(self, epoch: int) -> bool:
        """Return whether a snapshot is taken after this epoch; the last is taken when training has ended."""
        assert self.sampling is not None
        progress = self.run.progress
        stride = math.ceil(progress.epochs / (self.sampling.moments - 1))
        return epoch > 0 and epoch % max(stride, 1) == 0 and progress.step < progress.steps

    def _keep(self, epoch: int) -> None:
        with self._aside():
            moments = {**self.kept.moments, epoch: self._moment()}
            self.kept = replace(self.kept, moments=dict(sorted(moments.items())))
            self._write()

    def _finish(self) -> None:
        trained = [line for line in self.run.metrics() if line["epoch"] > 0]
        if trained:  # not the head alone, for want of time
            self.kept = replace(self.kept, end=self._moment())
            self._write()

    def _write(self) -> None:
        try:
            write_snapshots(self.run.path, self.kept)
        except ResourceError as error:
            self.run.notes.append(f"how the network changes is not kept ({error.what})")

    def _aside(self) -> AbstractContextManager[None]:
        return nullcontext() if self.budget is None else self.budget.aside()

    @torch.no_grad()
    def _moment(self) -> Moment:
        model, device = self.model, _device(self.model)
        spec, bf16 = self.run.spec, self.run.config.settings.precision == "bf16"
        parts: list[Tensor] = []
        with evaluating(model), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for images in in_order(self.sample, spec, comfortable_batch(model, spec), device):
                parts.append(_hidden(model, images, self.layer))
        filters = first_filters(model)
        return Moment(halved(torch.empty(0) if filters is None else filters[:MOST_FILTERS]), halved(torch.cat(parts)))


def _head_alone(settings: TrainSettings) -> bool:
    return settings.transfers and not fine_tunes(settings)


def _hidden(model: Classifier, images: Tensor, layer: str | None) -> Tensor:
    """Return what the last linear layer sees, N F; the mean of the last maps where there is no such layer."""
    if layer is None:
        return model.features(images).mean((2, 3))
    with inputs_of(model, layer) as seen:
        model(images)
    return seen[-1]


def _device(model: Classifier) -> torch.device:
    return next(model.parameters()).device
