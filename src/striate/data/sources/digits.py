"""scikit-learn's digits: 1,797 pictures of 8×8 pixels, inside the package, so always there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from striate.data.dataset import ImageDataset, Splits
from striate.data.sources.registry import SOURCES, Source
from striate.data.split import hold_out

TEST_SHARE = 0.2


def load_digits(data_dir: Path | None = None) -> Splits:
    """Return the digits; a fixed fifth, stratified, is the test part, whatever the run's seed.

    The pixels' 17 levels (0 … 16) are scaled to 0 … 255. The data set is part of scikit-learn, and `data_dir` is unused.
    """
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    images = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8))[:, None]  # N 1 8 8
    whole = ImageDataset(
        images=images,
        labels=torch.from_numpy(bunch.target.astype(np.int64)),
        classes=tuple(str(digit) for digit in range(10)),
        names=[f"digits/{i}" for i in range(len(images))],
    )
    train, test = hold_out(whole, TEST_SHARE, seed=0, round_=1)
    return Splits(name="digits", train=train, test=test, mirror_safe=False)


def _find(data_dir: Path | None) -> Path:
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "data"


SOURCES.register("digits")(Source(load_digits, _find, "handwritten digits, 1,797 of 8×8 grey, always at hand"))
