"""ImageDataset: pictures of one size as uint8, in memory or mapped from a file, with their labels and names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.memory import require_memory
from striate.core.paths import to_type
from striate.data.aspect import ResizeChoice

SEPARATOR = "|"  # between the names of several classes
_CHUNK = 2**18  # values taken as floats at a time: they stay in the processor
_LARGE = 2**28  # bytes from which it is asked whether they fit


@dataclass(frozen=True)
class ImageDataset:
    """One part (train, val or test) of a data set.

    Args:
        images: uint8, N C H W.
        labels: int64 N, values in [0, len(classes)): one class each. Or bool N K: any number of K classes each.
        classes: Class names in label order.
        names: One name per picture: a file's path, or 'mnist/test/17'.
        groups: int64 N, where pictures belong together: those of equal numbers, which no split divides.
    """

    images: Tensor  # N C H W
    labels: Tensor  # N, or N K
    classes: tuple[str, ...]
    names: Sequence[str]
    groups: Tensor | None = None  # N

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8
        assert self.images.ndim == 4
        assert len(self.images) == len(self.labels) == len(self.names)
        if self.groups is not None:
            assert self.groups.dtype == torch.int64
            assert self.groups.shape == (len(self.images),)
        if self.multi_label:
            self._check_label_sets()
            return
        outside = (self.labels < 0) | (self.labels >= len(self.classes))
        if bool(outside.any()):
            first = int(outside.nonzero()[0])
            raise DataError(
                f"label {int(self.labels[first])} is outside 0 … {len(self.classes) - 1}",
                where=self.names[first],
                fix="correct the label, or name every class",
            )

    def _check_label_sets(self) -> None:
        assert self.labels.dtype == torch.bool
        assert self.labels.shape == (len(self.images), len(self.classes))
        ambiguous = [name for name in self.classes if SEPARATOR in name]
        if ambiguous:
            raise DataError(
                f"names of classes with '{SEPARATOR}', which stands between several of them",
                where=", ".join(ambiguous),
                fix="rename these classes",
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multi_label(self) -> bool:
        """Whether a picture may be of any number of classes."""
        return self.labels.ndim == 2

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one picture."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def select(self, indices: Tensor) -> ImageDataset:
        """Return a copy of the pictures at `indices` (int64), in that order; ResourceError where it does not fit."""
        needed = len(indices) * self.images[0].numel() if len(self) else 0
        if needed > _LARGE:
            require_memory(
                needed,
                f"the {len(indices):,} pictures chosen of {len(self):,}",
                where=self.names[0],
                fix="use smaller pictures (--img-size), or divide them into folders train, val and test",
            )
        return replace(
            self,
            images=self.images.index_select(0, indices),
            labels=self.labels[indices],
            names=[self.names[i] for i in indices.tolist()],
            groups=None if self.groups is None else self.groups[indices],
        )

    def first(self, count: int) -> ImageDataset:
        """Return the first `count` pictures (all of them where there are fewer)."""
        return self.select(torch.arange(min(count, len(self))))

    def spread(self, count: int) -> ImageDataset:
        """Return `count` pictures at equal distances (all of them where there are fewer).

        Of pictures sorted by class, every class keeps its share.
        """
        count = min(count, len(self))
        return self.select(torch.arange(count) * len(self) // count)

    def only_classes(self, classes: Sequence[str]) -> ImageDataset:
        """Return the pictures of some classes, relabelled 0, 1, … in the order the names are given.

        Of pictures with any number of classes all remain, with what is said of these classes.
        """
        if self.multi_label:
            columns = [self.classes.index(name) for name in classes]
            return replace(self, labels=self.labels[:, columns], classes=tuple(classes))
        relabel = torch.full((len(self.classes),), -1)
        for new, name in enumerate(classes):
            relabel[self.classes.index(name)] = new
        labels = relabel[self.labels]
        kept = (labels >= 0).nonzero().squeeze(1)
        if len(kept) == len(self):
            return replace(self, labels=labels, classes=tuple(classes))
        return replace(self.select(kept), labels=labels[kept], classes=tuple(classes))

    def class_counts(self) -> list[int]:
        """Return the number of pictures of each class."""
        if self.multi_label:
            return self.labels.sum(0).tolist()
        return torch.bincount(self.labels, minlength=len(self.classes)).tolist()

    def of_class(self, label: int) -> Tensor:
        """Return the numbers of a class's pictures, int64, ascending."""
        flags = self.labels[:, label] if self.multi_label else self.labels == label
        return flags.nonzero().squeeze(1)

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return each channel's mean and (population) standard deviation on the scale [0, 1], exactly.

        A channel of one value has standard deviation 0; 1 is returned for it, so that it can be divided by.
        """
        channels = self.images.shape[1]
        total, squares = torch.zeros(2, channels, dtype=torch.float64)
        for images in self.images.split(max(_CHUNK // self.images[0].numel(), 1)):
            chunk = images.to(torch.float32)
            total += chunk.sum((0, 2, 3), dtype=torch.float64)
            squares += chunk.square_().sum((0, 2, 3), dtype=torch.float64)
        count = len(self) * self.images.shape[2] * self.images.shape[3]
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        std[std == 0] = 255.0
        return tuple((mean / 255).tolist()), tuple((std / 255).tolist())

    def fingerprint(self) -> str:
        """Return the SHA-256 of pictures, labels, classes and shape: equal data, equal fingerprint."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        digest.update(self.images.contiguous().numpy().data)
        if self.multi_label:  # eight flags are as many bytes as one number
            digest.update(b"multi-label")
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()


def label_texts(labels: Tensor, classes: Sequence[str]) -> list[str]:
    """Return labels in words: the class's name (int64, N), or the names of all classes joined by '|' (bool, N K)."""
    if labels.ndim == 1:
        return [classes[label] for label in labels.tolist()]
    return [SEPARATOR.join(compress(classes, row)) for row in labels.tolist()]


def require_classes(wanted: Sequence[str], known: Sequence[str], where: str, least: int = 2) -> None:
    """Refuse a subset of unknown classes, or of fewer than `least` different ones: SettingsError."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SettingsError(
            f"{where} has no class", where=", ".join(unknown), fix=f"its classes are: {', '.join(known)}"
        )
    if len(set(wanted)) < least:
        raise SettingsError(
            "a class subset needs at least two different classes",
            where=f"{where}:{','.join(wanted)}",
            fix=f"write e.g. {to_type(f'{where}:{known[0]},{known[-1]}')}",
        )


class FileRecord(NamedTuple):
    """What became of one file of a data set: one line of the run's `files.csv`."""

    path: str
    part: str
    class_name: str
    status: str  # used, fixed (used, but not as it came), skipped or ignored
    reason: str = ""


@dataclass(frozen=True)
class Splits:
    """A data set's parts; `val` and `test` are None where the data has none (yet).

    Args:
        mirror_safe: Whether a mirrored picture keeps its label. The source says so: digits do not.
        folder: Where they are, where the data are files.
        source: What opens them again from any working folder.
        val_share: Share of the training pictures that was held out for validation, where it was.
        files: What became of each file.
        resize: How the pictures would best become square, where the source has looked at their shapes.
        test_share: Share of the pictures that was held out for test, where it was.
        notes: What was done to the data on the way, one sentence each.
        own_side: Pixels of the side that pictures in files would be read at where nothing is said.
    """

    name: str
    train: ImageDataset
    val: ImageDataset | None = None
    test: ImageDataset | None = None
    mirror_safe: bool = True
    folder: Path | None = None
    source: str = ""
    val_share: float | None = None
    files: Sequence[FileRecord] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    resize: ResizeChoice | None = None
    test_share: float | None = None
    own_side: int | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.train.classes

    @property
    def multi_label(self) -> bool:
        """Whether a picture may be of any number of classes."""
        return self.train.multi_label

    def parts(self) -> dict[str, ImageDataset]:
        """Return the parts that exist, by name."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def only_classes(self, classes: Sequence[str]) -> Splits:
        """Return the splits with some classes only, relabelled in the order the names are given."""
        val, test = (part and part.only_classes(classes) for part in (self.val, self.test))
        name, source = (f"{text}:{','.join(classes)}" for text in (self.name, self.source))
        return replace(self, name=name, source=source, train=self.train.only_classes(classes), val=val, test=test)

    def fingerprint(self) -> str:
        """Return the SHA-256 over all parts."""
        text = "\n".join(f"{name} {part.fingerprint()}" for name, part in self.parts().items())
        return hashlib.sha256(text.encode()).hexdigest()
