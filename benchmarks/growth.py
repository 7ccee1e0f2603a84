"""How cost grows: training time per picture and memory, with the number of pictures, their side, and the classes.

    python -m benchmarks.growth --only side --rounds 3

Striate's `fast` network on synthetic pictures in memory (noise, so that nothing can be learned), two epochs of batches
of 128 in fp32, each run in a process of its own, the sizes of one kind in turn. Kept are the milliseconds per training
picture in the faster epoch, the whole run's seconds and the most memory it held; a ratio is the time per picture of
the smallest size over that of the largest: 1 where a picture costs the same however many there are.

Writes results/growth.json: a kind of growth is replaced, the others stay. --quick leaves the largest size out.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

import striate
from benchmarks.contest import (
    Options,
    Size,
    in_own_process,
    in_turn,
    keep,
    print_header,
    print_row,
    read_options,
    times,
)
from striate.cli.output import peak_memory_gib
from striate.data.dataset import ImageDataset, Splits
from striate.data.sources import SOURCES, Source


@dataclass(frozen=True)
class Pictures:
    """How many training pictures, of how many pixels a side, of how many classes."""

    count: int = 4_000
    side: int = 32
    classes: int = 10


KINDS = {
    "count": [Pictures(count=count) for count in (1_000, 4_000, 16_000, 64_000)],
    "side": [Pictures(count=1_000, side=side) for side in (16, 32, 64, 128, 224)],
    "classes": [Pictures(classes=classes) for classes in (2, 10, 100, 1_000)],
}
MOST: dict[Size, int | None] = {"full": None, "quick": -1, "rehearsal": 2}
EPOCHS: dict[Size, int] = {"full": 2, "quick": 2, "rehearsal": 1}
SETTINGS: dict[str, Any] = {"model": "fast", "batch_size": 128, "precision": "fp32", "val_share": 0.0, "device": "cpu"}


@dataclass(frozen=True)
class Cost:
    """What one run cost.

    Args:
        image_ms: Milliseconds per training picture in the faster epoch.
        wall_s: From the first line of the run to its last, without imports.
        peak_gib: The most memory the process held.
    """

    image_ms: float
    wall_s: float
    peak_gib: float


def synthetic(pictures: Pictures) -> Splits:
    """Return noise, and a tenth as much of it to measure."""

    def part(name: str, count: int, seed: int) -> ImageDataset:
        shape = (count, 3, pictures.side, pictures.side)
        return ImageDataset(
            images=torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)),
            labels=torch.arange(count) % pictures.classes,
            classes=tuple(f"class {number}" for number in range(pictures.classes)),
            names=[f"synthetic/{name}/{number}" for number in range(count)],
        )

    return Splits(name="synthetic", train=part("train", pictures.count, 0), test=part("test", pictures.count // 10, 1))


def train(pictures: Pictures, epochs: int) -> Cost:
    """Train on synthetic pictures in this process."""
    SOURCES.register("synthetic")(Source(lambda _: synthetic(pictures), lambda _: Path(), "noise"))
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = striate.train("synthetic", out=folder, epochs=epochs, report=False, **SETTINGS)
        wall = time.perf_counter() - start
        rate = max(line["images_per_second"] for line in run.metrics())
    return Cost(1e3 / rate, round(wall, 2), round(peak_memory_gib(), 3))


def grow(kind: str, options: Options) -> None:
    """Run all sizes of a kind in turn, write a row each and keep them."""
    sizes = {f"{getattr(pictures, kind):,}": pictures for pictures in KINDS[kind][: MOST[options.size]]}

    def run(pictures: Pictures, number: int) -> Cost:
        return in_own_process(train, pictures, EPOCHS[options.size])

    costs = in_turn({name: partial(run, pictures) for name, pictures in sizes.items()}, options.rounds)
    for name, runs in costs.items():
        print_row(
            kind,
            name,
            f"{median(cost.image_ms for cost in runs):.3f} ms",
            f"{median(cost.wall_s for cost in runs):.1f} s",
            f"{median(cost.peak_gib for cost in runs):.2f} GiB",
        )
    smallest, *_, largest = costs
    ratio = times(*([cost.image_ms for cost in costs[name]] for name in (smallest, largest)))
    kept = [{**asdict(sizes[name]), "runs": [asdict(cost) for cost in runs]} for name, runs in costs.items()]
    keep("growth", options.size, kind, {f"time per picture, {smallest} / {largest}": ratio}, sizes=kept)


def main() -> None:
    """Grow each kind."""
    options = read_options(__doc__, list(KINDS), quick=list(KINDS))
    print_header("growing", "to", "time per picture", "whole run", "memory")
    for kind in options.names:
        grow(kind, options)


if __name__ == "__main__":
    main()
