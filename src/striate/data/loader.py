"""Batches: from uint8 pictures in memory to normalised network inputs on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from striate.core.device import constant
from striate.core.random import permutation
from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data.augment.mix import Mix, apply_mix, draw_mix
from striate.data.augment.pipeline import Augment, Parameters, part_of
from striate.data.dataset import ImageDataset
from striate.data.sampling import balanced_order

DRAW = 2**16  # pictures whose changes are drawn at a time: a batch alone is so few that each operation costs more


@dataclass(frozen=True)
class Drawn:
    """What was drawn for some pictures in an epoch: how they change, and how they are mixed if they are."""

    changes: Parameters
    mix: Mix | None


@dataclass(frozen=True)
class Batch:
    """One training step's data on the device.

    Args:
        images: float32, N C H W (channels last in memory), normalised.
        targets: int64 N class numbers, or float32 N K where samples are mixed or may be of several classes.
        labels: int64 N, or bool N K; the pictures' own labels.
        indices: int64, N; the pictures' numbers in their part.
    """

    images: Tensor
    targets: Tensor
    labels: Tensor
    indices: Tensor

    @property
    def multi_label(self) -> bool:
        """Whether a picture may be of any number of classes."""
        return self.labels.ndim == 2


def normalize(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return network inputs: (pixel / 255 − mean) / std per channel, float32, channels last in memory.

    Mean 0 and std 1 give pixel / 255 exactly; with `spec.whiten` each picture is normalised by itself.
    Every surface (training, evaluation, prediction, serving) passes its pixels through this function.

    Args:
        images: N C H W, uint8 or float on 0 … 255; what the network sees, already cropped.
    """
    if not images.is_contiguous(memory_format=torch.channels_last):
        images = torch.stack(images.unbind(1), 3).permute(0, 3, 1, 2)  # several times as fast as `contiguous`
    if spec.whiten:
        return whiten(images)
    if not any(spec.mean) and all(value == 1 for value in spec.std):
        # a divisor on the device: by a plain number, CUDA multiplies with its rounded reciprocal
        return images / constant(255.0, images.device)
    mean, std = (constant(values, images.device) for values in (spec.mean, spec.std))
    count, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).to(torch.float32, copy=True)  # N H W C
    # by rows: over three values at a time, operations are ten times as slow
    rows = pixels.view(count, height, width * channels)
    across = width if channels > 1 else 1
    rows.mul_((1 / (255 * std)).repeat(across)).sub_((mean / std).repeat(across))
    return pixels.permute(0, 3, 1, 2)


def whiten(images: Tensor) -> Tensor:
    """Return (x − m) / max(s, 1/√n), float32, with each picture's own mean m and standard deviation s.

    m and s are over all n = C·H·W values x of a picture, on 0 … 255; those of a uniform picture become
    zeros. The formula is that of TensorFlow's per_image_standardization.

    Args:
        images: N C H W, uint8 or float on 0 … 255.
    """
    count = images.shape[1:].numel()
    if images.dtype == torch.uint8:
        # sums of whole numbers are exact in any order, so that a picture's input does not depend on its batch
        whole = images.sum((1, 2, 3), keepdim=True, dtype=torch.int64) // count
        centred = images.int() - whole.int()
        rest = centred.sum((1, 2, 3), keepdim=True) / count
        variance = centred.square().sum((1, 2, 3), keepdim=True) / count - rest.square()
        return (centred - rest).div_(variance.clamp_min_(1 / count).sqrt_())
    variance, mean = torch.var_mean(images.float(), (1, 2, 3), correction=0, keepdim=True)
    return (images - mean).div_(variance.clamp_min_(1 / count).sqrt_())


class Loader:
    """Shuffled, augmented batches of a training part; each a pure function of (seed, epoch, number).

    Args:
        data: The pictures; they are moved to the device once.
        spec: How they become inputs.
        settings: The augmentation.
        batch_size: Pictures per batch; the last batch of an epoch is smaller, and one single picture
            left over joins the batch before it (batch norm cannot normalise a batch of one).
        seed: Seed of order and augmentation.
        device: Where batches are made.
        balanced: See every class equally often (data/sampling.py), and not every picture once.
    """

    def __init__(
        self,
        data: ImageDataset,
        spec: ImageSpec,
        settings: AugmentSettings,
        batch_size: int,
        seed: int,
        device: torch.device,
        balanced: bool = False,
    ) -> None:
        self.data = data
        self.spec = spec
        self.settings = settings
        self.seed = seed
        self.device = device
        self.balanced = balanced
        self.images = data.images.to(device)
        self.labels = data.labels.to(device)
        self.augment = Augment(settings, (spec.height, spec.width), spec.mean, spec.crop)
        count = len(data)
        self.bounds = [*range(0, count, batch_size), count]
        if len(self.bounds) > 2 and self.bounds[-1] - self.bounds[-2] == 1:
            del self.bounds[-2]

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.bounds) - 1

    def indices(self, epoch: int, batch: int) -> Tensor:
        """Return the numbers of one batch's pictures (int64, N), without making the batch."""
        return self._order(epoch)[self.bounds[batch] : self.bounds[batch + 1]] % len(self.data)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches from number `start` on."""
        order = self._order(epoch).to(self.device)
        indices = order % len(self.data)
        batch_size = self.bounds[1]
        together = max(1, DRAW // batch_size)
        for number in range(start, len(self), together):
            bounds = self.bounds[number : number + together + 1]
            offset = bounds[0]
            drawn = self.draw(epoch, order[offset : bounds[-1]])
            for first, last in pairwise(bounds):
                yield self.make(indices[first:last], part_of(drawn, slice(first - offset, last - offset)))

    def first(self, pictures: int) -> Batch:
        """Return so many pictures, or as many as there are, of the first batch as training sees it.

        Mixed pictures are those of the whole batch only.
        """
        order = self._order(0)[: min(pictures, self.bounds[1])].to(self.device)
        return self.make(order % len(self.data), self.draw(0, order))

    def batch(self, epoch: int, indices: Tensor) -> Batch:
        """Return the batch of the pictures `indices` (int64, N, on the device) as they are in an epoch."""
        return self.make(indices, self.draw(epoch, indices))

    def draw(self, epoch: int, indices: Tensor) -> Drawn:
        """Return what happens to the pictures `indices` (int64, N, on the device) in an epoch: a pure function."""
        return Drawn(
            changes=self.augment.draw(self.seed, epoch, indices),
            mix=draw_mix(self.settings, self.spec.input_shape[1:], self.seed, epoch, indices),
        )

    def make(self, indices: Tensor, drawn: Drawn) -> Batch:
        """Return the batch of the pictures `indices` with what was drawn for them."""
        labels = self.labels[indices]
        images = self.images.index_select(0, indices)
        images = normalize(self.augment.apply(images, drawn.changes), self.spec)
        if drawn.mix is None:
            return Batch(images, labels.float() if self.data.multi_label else labels, labels, indices)
        images, targets = apply_mix(images, labels, drawn.mix, len(self.spec.classes))
        return Batch(images, targets, labels, indices)

    def _order(self, epoch: int) -> Tensor:
        """Return the epoch's pictures in their order, int64 N; plus N for each time that one came before."""
        if self.balanced:
            return balanced_order(self.data.labels, len(self.data.classes), self.seed, epoch)
        return permutation(self.seed, epoch, len(self.data))


def in_order(data: ImageDataset, spec: ImageSpec, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield the normalised pictures of a part in their own order, unaugmented, for evaluation.

    Of pictures that are not cropped yet the network sees the centre.
    """
    images = data.images[:, :, *spec.centre] if data.input_shape == spec.picture_shape else data.images  # N C H W
    for start in range(0, len(data), batch_size):
        yield normalize(images[start : start + batch_size].to(device), spec)
