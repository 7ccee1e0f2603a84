"""Stratified, seeded splits: which pictures are held out is a pure function of seed, labels and groups."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.random import Stream, uniform
from striate.data.dataset import ImageDataset, Splits
from striate.data.deal import hold_out_groups

MAX_HELD_OUT = 5000
DEFAULT_SHARE = 0.1
LEAST_LEFT = 0.05  # to train on, of what there is


def stratified_split(
    labels: Tensor, share: float, seed: int, round_: int = 0, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the indices that stay and those held out, each in ascending order.

    Every class gives round(share × its count) pictures, at least one where it has two or more, and
    keeps at least one. Of pictures with any number of classes every set of classes does so; the pictures of
    all sets too rare to give one do so together, and every class keeps at least one.

    Groups are held out whole, and the shares kept as well as they allow (data/deal.hold_out_groups).

    Args:
        labels: int64 N, or bool N K.
        share: Share held out, 0 < share < 1.
        seed: Seed of the choice.
        round_: Number of the split, where one set is split more than once.
        groups: int64 N; equal numbers belong together.
    """
    if groups is not None:
        chosen = hold_out_groups(labels, groups, share, seed, round_)
        return (~chosen).nonzero().squeeze(1), chosen.nonzero().squeeze(1)
    chance = uniform(seed, round_, torch.arange(len(labels)), Stream.SPLIT)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    strata = labels if labels.ndim == 1 else _label_sets(labels, share)
    for stratum in strata.unique():
        members = (strata == stratum).nonzero().squeeze(1)
        wanted = min(max(round(share * len(members)), 1), len(members) - 1)
        chosen = members[torch.argsort(chance[members], stable=True)[:wanted]]
        held_out[chosen] = True
    if labels.ndim == 2:
        last = torch.where(labels, chance[:, None], -1).argmax(0)  # of each class, the one to be chosen last
        held_out[last[labels.any(0)]] = False
    return (~held_out).nonzero().squeeze(1), held_out.nonzero().squeeze(1)


def _label_sets(labels: Tensor, share: float) -> Tensor:
    """Return the number of each picture's set of classes, int64, N; −1 for all sets too rare to give a picture.

    With many classes most sets occur once: by themselves they would all stay.
    """
    _, sets, counts = labels.unique(dim=0, return_inverse=True, return_counts=True)
    return torch.where((share * counts < 0.5)[sets], -1, sets)


def hold_out(part: ImageDataset, share: float, seed: int, round_: int = 0) -> tuple[ImageDataset, ImageDataset]:
    """Return the part without the held-out pictures, and the held-out pictures."""
    stay, out = stratified_split(part.labels, share, seed, round_, part.groups)
    return part.select(stay), part.select(out)


def complete(splits: Splits, val_share: float | None, test_share: float, seed: int) -> Splits:
    """Return the splits with a validation part, and with a test part where there was nothing but training data.

    With `val_share` None, a tenth of the training pictures is held out, at most about 5,000. A data set that
    comes with a validation part but no test part keeps it so: its pictures are then what is measured.

    Raises:
        DataError: All training pictures are of one group, so that none can be held out.
    """
    given = splits
    if splits.val is None and splits.test is None:
        train, test = hold_out(splits.train, test_share, seed, round_=1)
        splits = replace(splits, train=train, test=test if len(test) else None, test_share=test_share)
    if splits.val is None and val_share != 0:
        share = val_share or min(DEFAULT_SHARE, MAX_HELD_OUT / len(splits.train))
        train, val = hold_out(splits.train, share, seed)
        # with two pictures per class, the test part has taken all that can be spared
        splits = replace(splits, train=train, val=val if len(val) else None, val_share=share)
    return splits if splits is given or given.train.groups is None else _with_groups_told(given.train, splits)


def require_enough_left(splits: Splits, val_share: float | None, test_share: float) -> None:
    """Refuse shares that leave almost nothing to train on: SettingsError with all of them by name."""
    if splits.val is not None:
        return
    held = {"--val-share": val_share or 0.0}
    if splits.test is None:
        held["--test-share"] = test_share
    left = prod(1 - share for share in held.values())  # the second is of what the first has left
    if sum(held.values()) < 1 and left >= LEAST_LEFT:
        return
    told = " and ".join(f"{option} {share:g}" for option, share in held.items() if share)
    raise SettingsError(
        f"{told} leave {100 * left:.2g} % of the pictures to train on",
        fix=f"hold less out: together less than 1, with {100 * LEAST_LEFT:.0f} % or more to train on",
    )


def _with_groups_told(whole: ImageDataset, splits: Splits) -> Splits:
    """Return the splits that were made of a part with groups, with notes of what the groups did to them."""
    assert whole.groups is not None
    count = len(whole.groups.unique())
    made = [part for part in (splits.val, splits.test) if part is not None]
    if count == 1:
        raise DataError(
            "all training pictures are of one group, so none can be held out",
            where=splits.name,
            fix="name smaller groups, or none: --group, or --group-column of a table",
        )
    notes = [f"{count:,} groups held together: none is in two parts"]
    if not made:
        notes.append("no group could be held out: each has all pictures of some class")
    unmeasured = [
        name
        for label, name in enumerate(whole.classes)
        if len(whole.of_class(label)) and not any(len(part.of_class(label)) for part in made)
    ]
    if made and unmeasured:
        notes.append(f"never held out, as their pictures are of one group or of large ones: {', '.join(unmeasured)}")
    return replace(splits, notes=[*splits.notes, *notes])
