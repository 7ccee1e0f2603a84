"""Comparison: what was found in comparing finished runs, and what follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from striate.evaluation.metrics import ClassScore
from striate.evaluation.paired import LEVEL


@dataclass(frozen=True)
class Contestant:
    """A run, and what it came to on the pictures that all runs share.

    Args:
        path, name: Its folder, and what tells it apart from the others.
        data, fingerprint: What it was trained on, and the hash of all of it as it was read.
        pictures: How many, by part.
        network: Name and options.
        pretrained: The weights that it began from; None from scratch.
        head_alone: Whether only a head on these was fitted, in no epochs.
        ends_with_head: Whether its epochs of fine-tuning did not help, and the head before them was kept.
        folds: How many runs it is.
        side: Height and width at which the pictures were read.
        epochs: That it did, all folds together.
        epochs_set: That each was to do; None where time or pretrained weights decide.
        seconds: From the start of the command to the measured network, of all folds; None where that was not recorded.
        epoch_seconds: Of the epochs alone.
        correct, accuracy, interval: Of the pictures that all runs share; the interval is of 95 % (Wilson).
        per_class: The scores of each class that any run knows.
    """

    path: Path
    name: str
    data: str
    fingerprint: str
    pictures: dict[str, int]
    network: str
    pretrained: str | None
    head_alone: bool
    ends_with_head: bool
    folds: int
    side: tuple[int, int]
    epochs: int
    epochs_set: int | None
    seconds: float | None
    epoch_seconds: float
    correct: int
    accuracy: float
    interval: tuple[float, float]
    per_class: list[ClassScore]


@dataclass(frozen=True)
class Flip:
    """A picture of which exactly one of two networks is right.

    Args:
        name: As the first run calls it.
        label: What it is.
        before, after: What the first run's network says, and what the other's says.
        gained: Whether the other's is right.
    """

    name: str
    label: str
    before: str
    after: str
    gained: bool


@dataclass(frozen=True)
class Pair:
    """A run against the first one, on the same pictures.

    Args:
        name: The run.
        data: Whether both were given the same pictures, one sentence.
        flips: The pictures that exactly one of them has right.
        difference: Its accuracy minus the first run's.
        interval: 95 % interval of the difference, without 0 exactly where p is below 0.05.
        p: Of McNemar's exact test.
        p_holm: p adjusted for the number of runs that are compared with the first (Holm).
        needed: Pictures that would tell such a difference, with probability 0.8; None where there is none.
    """

    name: str
    data: str
    flips: list[Flip]
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    needed: int | None

    @property
    def gained(self) -> int:
        """How many pictures it has right and the first run has not."""
        return sum(flip.gained for flip in self.flips)

    @property
    def lost(self) -> int:
        """How many pictures the first run has right and it has not."""
        return len(self.flips) - self.gained

    @property
    def distinguishable(self) -> bool:
        """Whether networks that are equally good would differ as much with a probability below 5 %."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Comparison:
    """What differs between runs.

    Args:
        part: 'test' or 'val', or 'out-of-fold'.
        count: Pictures that all runs have been measured on.
        counts: Pictures of the part that each was measured on.
        runs: The runs, in the order given.
        settings: Each setting with an effect that differs, with its value in each run; None where it is not set or not
            read.
        pairs: Each further run against the first.
        notes: What the reader of the figures must know, one sentence each.
    """

    part: str
    count: int
    counts: list[int]
    runs: list[Contestant]
    settings: dict[str, list[Any]]
    pairs: list[Pair]
    notes: list[str]

    def summary(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "part": self.part,
            "count": self.count,
            "counts": self.counts,
            "runs": [{**asdict(run), "path": str(run.path)} for run in self.runs],
            "settings": self.settings,
            "comparisons": [
                {
                    **asdict(pair),
                    "against": self.runs[0].name,
                    "lost": pair.lost,
                    "gained": pair.gained,
                    "distinguishable": pair.distinguishable,
                }
                for pair in self.pairs
            ],
            "notes": self.notes,
        }
