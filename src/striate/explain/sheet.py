"""A contact sheet of a data set: pictures of each class, and what augmentation makes of them."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from striate.core.settings import AugmentSettings
from striate.data.augment import Augment
from striate.data.dataset import Splits
from striate.explain.drawing import picture_grid

MAX_CLASSES = 10
SAMPLES = 3
EPOCHS = 4


def contact_sheet(
    data: Splits, settings: AugmentSettings, seed: int = 0, crop: tuple[int, int] | None = None
) -> Figure:
    """Return a figure: a column per class (the first ten), rows of originals over one of them in later epochs.

    The changed pictures are those that training with these settings would see: of `crop` (height, width) if given.
    """
    train = data.train
    shown = range(min(len(data.classes), MAX_CLASSES))
    members = [train.of_class(label)[:SAMPLES].tolist() for label in shown]
    originals = [
        [train.images[m[row]] if row < len(m) else torch.full_like(train.images[0], 255) for m in members]
        for row in range(SAMPLES)
    ]
    firsts = torch.tensor([m[0] for m in members])
    _, _, height, width = train.images.shape
    augment = Augment(settings, (height, width), train.mean_std()[0], crop)
    changed = [list(augment.apply(train.images[firsts], augment.draw(seed, epoch, firsts))) for epoch in range(EPOCHS)]
    return picture_grid(
        rows=[*originals, *changed],
        titles=[data.classes[label] for label in shown],
        labels=[
            *["original", *[""] * (SAMPLES - 1)],
            *[f"first row\nin epoch {epoch + 1}" for epoch in range(EPOCHS)],
        ],
        title=f"{data.name}: {len(train):,} training pictures, {len(data.classes)} classes",
    )
