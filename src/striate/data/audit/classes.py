"""Classes: without pictures, in one part but not in another, and of very different numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from striate.data.audit.finding import Case, Finding, of
from striate.data.dataset import Splits
from striate.data.sources.assemble import MIN_PER_CLASS
from striate.data.sources.scan import Listing, empty_folders
from striate.data.unread import CONVERT

IMBALANCED = 10.0  # times as many pictures in one class as in another


def refused_classes(listing: Listing) -> tuple[list[Finding], list[str]]:
    """Return what of a folder's classes keeps training from starting, all at once, and the classes that are left."""
    trained = "train" if "train" in listing.classes else ""
    counts = dict.fromkeys(listing.classes.get(trained, []), 0)
    for part, name, _ in listing.files:
        if part == trained:
            counts[name] += 1
    empty = [name for name, count in counts.items() if not count]
    few = {name: count for name, count in counts.items() if 0 < count < MIN_PER_CLASS}
    strangers = sorted({f"{part}/{name}" for part, name, _ in listing.files if name not in counts})
    usable = [name for name, count in counts.items() if count >= MIN_PER_CLASS]
    findings = []
    if empty:
        told = f"{of(len(empty), 'class')} without a picture"
        aside = empty_folders(listing, trained, empty)
        remedy = "add pictures, or remove the folders" + (f"; {CONVERT}" if any(aside.values()) else "")
        cases = [name + (f" ({what})" if what else "") for name, what in aside.items()]
        findings.append(_error("empty-classes", told, remedy, cases))
    if few:
        told = f"{of(len(few), 'class')} with fewer than {MIN_PER_CLASS} training pictures"
        findings.append(_error("too-few", told, f"add pictures: {MIN_PER_CLASS} per class are the least", list(few)))
    if strangers:
        told = f"{of(len(strangers), 'class')} of pictures that the training part lacks"
        findings.append(_error("unknown-classes", told, "add training pictures of them, or remove them", strangers))
    if len(counts) < 2:
        told = "a classifier needs two classes or more"
        findings.append(_error("one-class", told, "put the pictures of each class into its own folder", list(counts)))
    return findings, usable


def _error(kind: str, told: str, remedy: str, names: Sequence[str]) -> Finding:
    return Finding(kind, "error", told, remedy, [Case((), name) for name in names])


def uneven_classes(splits: Splits) -> list[Finding]:
    """Return which classes held-out parts lack, and whether the training part is imbalanced."""
    counts = {part: dict(zip(data.classes, data.class_counts(), strict=True)) for part, data in splits.parts().items()}
    lacking = [
        Case((), f"{part}: {name}")
        for part, of_class in counts.items()
        for name, count in of_class.items()
        if part != "train" and not count
    ]
    findings = []
    if lacking:
        told = f"{of(len(lacking), 'class')} without a picture in a held-out part: nothing is measured of them there"
        findings.append(Finding("missing-classes", "warning", told, "add pictures of them", lacking))
    return findings + ([] if splits.multi_label else _imbalance(counts["train"]))


def _imbalance(counts: Mapping[str, int]) -> list[Finding]:
    most, least = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    if counts[most] < IMBALANCED * max(counts[least], 1):
        return []
    told = f"{counts[most]:,} training pictures of {most}, {counts[least]:,} of {least}"
    cases = [Case((), f"{name}: {count:,}") for name, count in sorted(counts.items(), key=lambda item: item[1])]
    remedy = "read the figures of each class; add pictures of the rare ones"
    return [Finding("imbalance", "warning", told, remedy, cases)]
