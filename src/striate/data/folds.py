"""Cross-validation: the pictures that are not for the test in folds, of which each is held out by one run.

Which fold a picture is in is a pure function of seed, labels and groups; the runs need not know of each other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.memory import require_memory
from striate.core.random import Stream, uniform
from striate.core.settings import DataSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.deal import deal_evenly

_ROUND = 2  # validation and test parts are drawn in rounds 0 and 1


def fold_numbers(labels: Tensor, folds: int, seed: int, groups: Tensor | None = None) -> Tensor:
    """Return the fold of each picture, int64 N, 0 … folds−1.

    Without groups the folds' sizes differ by one at most, and so do their numbers of each class, or of each set of
    classes. With groups no group is in two folds, and both are as even as that allows.

    Args:
        labels: int64 N, or bool N K.
        folds: Their number, ≥ 2.
        seed: Seed of the choice.
        groups: int64 N; equal numbers belong together.
    """
    if groups is not None:
        return deal_evenly(labels, groups, folds, seed, _ROUND)
    chance = uniform(seed, _ROUND, torch.arange(len(labels)), Stream.SPLIT).numpy()
    strata = (labels,) if labels.ndim == 1 else _label_sets(labels)
    order = torch.from_numpy(np.lexsort((chance, *(stratum.numpy() for stratum in strata))))
    numbers = torch.empty(len(labels), dtype=torch.int64)
    numbers[order] = torch.arange(len(labels)) % folds  # dealt like cards, stratum by stratum
    return numbers


def _label_sets(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of each picture's set of classes, and its rarest class: sets that share it are dealt together.

    Most sets may be those of one picture; dealt by themselves, both pictures of a class could come into one fold.
    """
    _, sets = labels.unique(dim=0, return_inverse=True)
    counts = labels.sum(0)
    rarest = torch.where(labels, counts, len(labels) + 1).argmin(1)
    return sets, rarest


def take_fold(splits: Splits, folds: int, fold: int, seed: int) -> Splits:
    """Return the splits with one fold as the validation part and all others to train on; a test part stays as it is.

    A validation part that the data come with goes into the folds.

    Args:
        splits: The data, in the parts they come in.
        folds: Number of folds, ≥ 2.
        fold: The one held out, 1 … folds.
        seed: Seed of the choice.

    Raises:
        SettingsError: More folds than pictures or groups.
        DataError: A class of which one fold has all pictures.
        ResourceError: Too large for the memory.
    """
    whole = splits.train if splits.val is None else _joined(splits.train, splits.val)
    groups = None if whole.groups is None else len(whole.groups.unique())
    if folds > (groups or len(whole)):
        what = f"{groups:,} groups" if groups else f"{len(whole):,} pictures"
        raise SettingsError(f"{folds} folds of {what}", where="--folds", fix="use fewer folds, or smaller groups")
    numbers = fold_numbers(whole.labels, folds, seed, whole.groups)
    _require_every_class(whole, numbers, splits.name)
    train, val = (
        whole.select((numbers != fold - 1).nonzero()[:, 0]),
        whole.select((numbers == fold - 1).nonzero()[:, 0]),
    )
    undivided = f", {groups:,} groups, none divided" if groups else ""
    note = (
        f"fold {fold} of {folds}: {len(val):,} pictures held out for validation, {len(train):,} to train on{undivided}"
    )
    return replace(splits, train=train, val=val, notes=[*splits.notes, note])


def _joined(first: ImageDataset, second: ImageDataset) -> ImageDataset:
    bytes_ = (len(first) + len(second)) * first.images[0].numel()
    require_memory(
        2 * bytes_,  # the parts that come of it, too
        f"{len(first) + len(second):,} pictures in folds",
        where=first.names[0],
        fix="use smaller pictures: --img-size",
    )
    return ImageDataset(
        images=torch.cat([first.images, second.images]),  # N C H W
        labels=torch.cat([first.labels, second.labels]),
        classes=first.classes,
        names=[*first.names, *second.names],
        groups=None if first.groups is None or second.groups is None else torch.cat([first.groups, second.groups]),
    )


def _require_every_class(whole: ImageDataset, numbers: Tensor, where: str) -> None:
    in_one_fold = [
        name for label, name in enumerate(whole.classes) if len(numbers[whole.of_class(label)].unique()) == 1
    ]
    if in_one_fold:
        because = "; they are of one group, or of groups with other such classes" if whole.groups is not None else ""
        raise DataError(
            f"classes of which one fold has all pictures, so that its run could not learn them: "
            f"{', '.join(in_one_fold)}{because}",
            where=where,
            fix="add pictures of them, or leave these classes out",
        )


def require_one_fold(settings: DataSettings) -> None:
    """Refuse a fold of no folds, folds without the one to train, and shares that folds leave nothing to.

    Raises:
        SettingsError: All that is wrong, at once.
    """
    if settings.folds is None:
        if settings.fold is not None:
            raise SettingsError("one of how many folds?", where=f"--fold {settings.fold}", fix="say it with --folds")
        return
    problems = []
    if settings.fold is None:
        problems.append(f"which of the {settings.folds} folds? (--fold 1 … {settings.folds})")
    elif settings.fold > settings.folds:
        problems.append(f"there are {settings.folds} folds, and no {settings.fold}th")
    if settings.val_share is not None:
        problems.append("val_share has no effect: each fold is a validation part")
    if settings.test_share != DataSettings().test_share:
        problems.append("test_share has no effect: with folds only a test part that the data come with is left aside")
    if problems:
        raise SettingsError(
            "; ".join(problems),
            where=f"--folds {settings.folds}",
            fix=f"'striate train DATA --folds {settings.folds}' trains all in turn; in Python  "
            f"[striate.train(data, folds={settings.folds}, fold=n) for n in range(1, {settings.folds + 1})]",
        )
