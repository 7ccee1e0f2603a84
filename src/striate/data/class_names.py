"""Class names as people see them: which look alike, and which classes a part of the data lacks."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from striate.data.dataset import Splits

MOST = 10  # names in one sentence


def seen(name: str) -> str:
    """Return a form that is the same for names that look alike: 'Cat' and 'cat', or an é of one or two characters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that look alike."""
    groups = defaultdict(list)
    for name in dict.fromkeys(names):
        groups[seen(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def spelt_out(names: Iterable[str]) -> str:
    """Return names such that they can be told apart: with escapes for what is not ASCII."""
    return " and ".join(ascii(name) for name in names)


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence: all, or the first ten and how many more."""
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def alike_notes(splits: Splits) -> list[str]:
    """Return a sentence for each group of classes with names that look alike, with their training pictures."""
    counts = dict(zip(splits.classes, splits.train.class_counts(), strict=True))
    return [
        f"different classes with names that look alike: {spelt_out(group)} "
        f"({' and '.join(f'{counts[name]:,}' for name in group)} training pictures)"
        for group in look_alikes(splits.classes)
    ]


def missing_notes(splits: Splits) -> list[str]:
    """Return a sentence for each part without a picture of some class."""
    notes = []
    for part, pictures in splits.parts().items():
        counts = zip(splits.classes, pictures.class_counts(), strict=True)
        missing = [name for name, count in counts if not count]
        if missing:
            notes.append(f"no {part} picture of {listed(missing)}: figures of such classes are n/a there, not 0")
    return notes


def class_notes(splits: Splits) -> list[str]:
    """Return what to know of the classes: names that look alike, and parts without a picture of one."""
    return [*alike_notes(splits), *missing_notes(splits)]
