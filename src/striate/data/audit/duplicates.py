"""Pictures that are there more than once: exactly or nearly, within a part, across parts, under two classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from striate.data.audit.alike import near_duplicates
from striate.data.audit.finding import Case, Finding, of
from striate.data.audit.neighbours import Numbers, connected
from striate.data.audit.pictures import Pictures
from striate.data.duplicates import picture_hashes

Group = list[int]

_ACROSS_PARTS = "take them out of one part: on them the accuracy is memory (--out FOLDER proposes fixes)"
_ACROSS_CLASSES = "decide for one class each (--out FOLDER proposes fixes)"
_WITHIN = "nothing has to be done; they count several times"


def exact_duplicates(pictures: Pictures, hashes: Tensor) -> list[Finding]:
    """Return what there is to say of pictures that are equal pixel for pixel.

    Args:
        hashes: Of each picture (data/duplicates.py), int64 N.
    """
    _, inverse = np.unique(hashes.numpy(), return_inverse=True)
    return _findings(pictures, groups(inverse), "", "pixel for pixel")


def close_duplicates(pictures: Pictures, hashes: Tensor) -> list[Finding]:
    """Return what there is to say of pictures that are nearly the same; equal ones stand for one another.

    Args:
        hashes: Of each picture, int64 N.
    """
    _, among = np.unique(hashes.numpy(), return_index=True)
    pairs = near_duplicates(pictures, np.sort(among).astype(np.int64))
    if pairs is None:
        told = "the pictures are all so alike that near-duplicates among them cannot be told by hash"
        return [Finding("near-duplicates", "note", told, "look for copies by another way, if there may be any")]
    return _findings(pictures, groups(connected(pairs, len(pictures))), "near-", "but for size, quality or brightness")


def groups(same: Numbers) -> list[Group]:
    """Return the numbers of those with equal values, for each value of two or more, in the order of the first."""
    order = np.argsort(same, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(same[order])) + 1)
    return sorted(group.tolist() for group in found if len(group) > 1)


def _findings(pictures: Pictures, found: Sequence[Group], near: str, how: str) -> list[Finding]:
    parts, labels = pictures.part.tolist(), pictures.labels
    across_parts = [group for group in found if len({parts[number] for number in group}) > 1]
    across_classes = [group for group in found if len({labels[number] for number in group}) > 1]
    within = [
        group
        for group in found
        if len({parts[number] for number in group}) == len({labels[number] for number in group}) == 1
    ]
    findings = []
    if across_parts:
        told = shared_sentences(pictures, across_parts, how)
        findings.append(_finding(pictures, f"{near}duplicates-across-parts", told, _ACROSS_PARTS, across_parts))
    if across_classes:
        told = f"{of(len(across_classes), 'picture')} under more than one class ({how})"
        findings.append(_finding(pictures, f"{near}duplicates-across-classes", told, _ACROSS_CLASSES, across_classes))
    if within:
        more = sum(len(group) - 1 for group in within)
        told = f"{of(len(within), 'picture')} more than once in one part and class, {more:,} too many ({how})"
        findings.append(_finding(pictures, f"{near}duplicates", told, _WITHIN, within))
    return findings


def shared_sentences(pictures: Pictures, across: Sequence[Group], how: str) -> str:
    """Return, for each held-out part, how many of its pictures another part has, too."""
    parts, told = pictures.part.tolist(), []
    train = pictures.part_names.index("train")
    counts: Counter[int] = Counter()
    for group in across:
        if any(parts[number] == train for number in group):
            counts.update(parts[number] for number in group)
    for number, name in enumerate(pictures.part_names):
        if number != train and counts[number]:
            whole = len(pictures.parts[name])
            verb = "are training pictures" if counts[number] > 1 else "is a training picture"
            told.append(f"{counts[number]} of {whole:,} {name} pictures {verb}, too, {how}")
    apart = sum(all(parts[number] != train for number in group) for group in across)
    if apart:
        told.append(f"{of(apart, 'picture')} in validation and test part alike, {how}")
    return "; ".join(told)


def _finding(pictures: Pictures, kind: str, told: str, remedy: str, found: Sequence[Group]) -> Finding:
    cases = [_case(pictures, group) for group in found]
    within = kind.endswith("duplicates")
    return Finding(kind, "note" if within else "falsifies", told, remedy, cases)


def _case(pictures: Pictures, group: Group) -> Case:
    names = tuple(pictures.names[number] for number in group)
    where = [f"{pictures.part_names[int(pictures.part[number])]}: {pictures.labels[number]}" for number in group]
    return Case(names, ", ".join(dict.fromkeys(where)))


def hashes_of(pictures: Pictures) -> Tensor:
    """Return the hash of each picture, int64 N."""
    return torch.cat([picture_hashes(images) for images in pictures.batches()])
