"""A pass over a folder of pictures, decoded and as normalised tensors: Striate beside torchvision.

    python benchmarks/loader.py FOLDER --rounds 3

FOLDER holds {train,test}/CLASS/picture, all of one size. In one process, in turn: torchvision's ImageFolder and
DataLoader without and with two workers; Striate's first pass, with an empty cache, its later runs, and a second
epoch of one run. Writes results/loader.json: pictures per second, and per second of processor time (of all
processes together), medians over the rounds. The second does not suffer from what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from striate.core.device import choose_device, describe_machine
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import Splits
from striate.data.loader import in_order
from striate.data.sources import load_data

RESULT = Path(__file__).parent / "results" / "loader.json"
BATCH = 256


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


def times(ours: list[float], theirs: list[float]) -> float:
    """Return the median over the rounds of how many times more pictures per second ours gave."""
    return round(median(one / other for one, other in zip(ours, theirs, strict=True)), 1)


def main() -> None:
    """Measure, print a table and keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cache = tempfile.mkdtemp()
    os.environ["STRIATE_CACHE"] = cache
    settings = DataSettings()

    def first() -> int:
        shutil.rmtree(cache)
        return striate_pass(load_data(str(options.folder), settings))

    opened: list[Splits] = []
    ways: dict[str, Callable[[], int]] = {
        "torchvision, 0 workers": lambda: torchvision_pass(options.folder, 0),
        "torchvision, 2 workers": lambda: torchvision_pass(options.folder, 2),
        "striate, first run": first,
        "striate, later run": lambda: striate_pass(load_data(str(options.folder), settings)),
        "striate, second epoch": lambda: striate_pass(opened[0]),
    }
    walls: dict[str, list[float]] = {name: [] for name in ways}
    cores: dict[str, list[float]] = {name: [] for name in ways}
    counts = set()
    for _ in range(options.rounds):
        for name, once in ways.items():
            if name == "striate, second epoch":
                opened[:] = [load_data(str(options.folder), settings)]
            wall, core = time.perf_counter(), processor_time()
            count = once()
            walls[name].append(count / (time.perf_counter() - wall))
            cores[name].append(count / (processor_time() - core))
            counts.add(count)
    shutil.rmtree(cache)
    assert len(counts) == 1
    fields = {
        name: {
            "images_per_second": round(median(walls[name])),
            "images_per_core_second": round(median(cores[name])),
            "times_torchvision": {
                beside: {
                    "wall": times(walls[name], walls[beside]),
                    "per_core": times(cores[name], cores[beside]),
                }
                for beside in list(ways)[:2]
            },
        }
        for name in ways
    }  # fmt: skip
    machine = {**describe_machine(choose_device()), "load_at_the_end": round(os.getloadavg()[0], 1)}
    result = {"machine": machine, "data": options.folder.name, "pictures": counts.pop(), "rounds": options.rounds}
    RESULT.write_text(json.dumps({**result, "ways": fields}, indent=1) + "\n")
    print("| way | images/s | per core and second | × torchvision (0 workers): wall, per core |\n|---|---|---|---|")
    for name, row in fields.items():
        ratio = row["times_torchvision"]["torchvision, 0 workers"]  # type: ignore[index]
        print(
            f"| {name} | {row['images_per_second']:,} | {row['images_per_core_second']:,} "
            f"| {ratio['wall']}, {ratio['per_core']} |"
        )


if __name__ == "__main__":
    main()
