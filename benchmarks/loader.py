"""A pass over a folder of pictures, decoded and as normalised tensors: Striate beside torchvision.

    python -m benchmarks.loader --only cifar10-jpeg --rounds 3

The folders hold PART/CLASS/picture, all of one size. In one process, in turn: torchvision's ImageFolder and
DataLoader without and with two workers; Striate's first pass, with an empty cache, its later runs, and a second
epoch of one run. Pictures per second, and per second of processor time (of all processes together), medians over
the rounds; the second does not suffer from what else the machine does.

Writes results/loader.json: a folder is replaced, the other stays. --quick is one round of the smaller folder.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.contest import (
    Options,
    data_folder,
    in_turn,
    is_here,
    keep,
    print_header,
    print_row,
    read_options,
    times,
)
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import Splits
from striate.data.loader import in_order
from striate.data.sources import load_data

FOLDERS = ["cifar10-jpeg", "smiles"]
BATCH = 256


@dataclass(frozen=True)
class Pass:
    """One pass over all pictures.

    Args:
        per_core_second: Pictures per second of processor time.
    """

    pictures: int
    images_per_second: float
    per_core_second: float


def torchvision_pass(folder: Path, workers: int) -> int:
    """Return how many pictures came out of ImageFolder and DataLoader."""
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)])
    parts = [ImageFolder(path, to_tensor) for path in sorted(folder.iterdir()) if path.is_dir()]
    return sum(len(images) for images, _ in DataLoader(ConcatDataset(parts), BATCH, num_workers=workers))


def striate_pass(splits: Splits) -> int:
    """Return how many pictures came out of Striate's parts."""
    channels, height, width = splits.train.input_shape
    assert channels == 3
    spec = ImageSpec(
        channels=3, height=height, width=width, classes=splits.classes, mean=(0.5,) * 3, std=(0.25,) * 3
    )  # fmt: skip
    device = torch.device("cpu")
    return sum(len(images) for part in splits.parts().values() for images in in_order(part, spec, BATCH, device))


def processor_time() -> float:
    """Return the processor seconds of this process and of all that it started and that ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measured(once: Callable[[], int]) -> Pass:
    """Return what a function that passes over all pictures came to."""
    wall, core = time.perf_counter(), processor_time()
    count = once()
    return Pass(count, count / (time.perf_counter() - wall), count / (processor_time() - core))


def compare(name: str, options: Options) -> None:
    """Pass over a folder in all ways, write a row each and keep them."""
    folder = data_folder(name)
    assert folder is not None
    cache = Path(os.environ["STRIATE_CACHE"])

    def opened() -> Splits:
        return load_data(str(folder), DataSettings(channels=3))  # which is what torchvision makes of grey ones, too

    def first(number: int) -> Pass:
        shutil.rmtree(cache, ignore_errors=True)
        return measured(lambda: striate_pass(opened()))

    def second(number: int) -> Pass:
        splits = opened()
        return measured(lambda: striate_pass(splits))

    passes = in_turn(
        {
            "torchvision, 0 workers": lambda number: measured(lambda: torchvision_pass(folder, 0)),
            "torchvision, 2 workers": lambda number: measured(lambda: torchvision_pass(folder, 2)),
            "Striate, first run": first,
            "Striate, later run": lambda number: measured(lambda: striate_pass(opened())),
            "Striate, second epoch": second,
        },
        options.rounds,
    )
    assert len({one.pictures for of_it in passes.values() for one in of_it}) == 1
    walls = {way: [one.images_per_second for one in of_it] for way, of_it in passes.items()}
    cores = {way: [one.per_core_second for one in of_it] for way, of_it in passes.items()}
    theirs, ours = list(passes)[:2], list(passes)[2:]
    for way in passes:
        more = times(walls[way], walls[theirs[0]]), times(cores[way], cores[theirs[0]])
        rates = f"{median(walls[way]):,.0f}", f"{median(cores[way]):,.0f}"
        print_row(name, way, *rates, f"{more[0]:.1f}, {more[1]:.1f}")
    ratios = {f"{way} / {beside}": times(walls[way], walls[beside]) for way in ours for beside in theirs}
    ratios |= {f"{way} / {beside}, per core": times(cores[way], cores[beside]) for way in ours for beside in theirs}
    keep("loader", options.size, name, ratios, passes={way: [asdict(one) for one in p] for way, p in passes.items()})


def main() -> None:
    """Compare on every folder."""
    options = read_options(__doc__, FOLDERS, quick=["smiles"])
    print_header("data", "way", "images/s", "per core and second", "× torchvision (0 workers): wall, per core")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["STRIATE_CACHE"] = str(Path(cache, "striate"))
        for name in options.names:
            if is_here(name):
                compare(name, options)


if __name__ == "__main__":
    main()
