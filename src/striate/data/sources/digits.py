"""scikit-learn's digits: 1,797 pictures of 8×8 pixels, inside the package, so always there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from striate.data.dataset import ImageDataset, Splits
from striate.data.sources.registry import SOURCES, Source
from striate.data.split import hold_out

TEST_SHARE = 0.2


def load_digits(data_dir: Path | None = None) -> Splits:
    """Return the digits; a fixed fifth, stratified, is the test part, whatever the run's seed.

    The pixels' 17 levels (0 … 16) are scaled to 0 … 255. `data_dir` is not used.
    """
    table = np.loadtxt(_find(data_dir) / "digits.csv.gz", delimiter=",")  # 64 pixels and the label in each row
    pixels = np.round(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(table[:, 64].astype(np.int64))
    whole = ImageDataset(
        images=images,
        labels=labels,
        classes=tuple(str(digit) for digit in range(10)),
        names=[f"digits/{i}" for i in range(len(images))],
    )
    train, test = hold_out(whole, TEST_SHARE, seed=0, round_=1)
    return Splits(name="digits", train=train, test=test, mirror_safe=False)


def _find(data_dir: Path | None) -> Path:
    """Return the folder of scikit-learn's data files, without the second that importing scikit-learn takes."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "datasets" / "data"


SOURCES.register("digits")(Source(load_digits, _find, "handwritten digits, 1,797 of 8×8 grey, always at hand"))
