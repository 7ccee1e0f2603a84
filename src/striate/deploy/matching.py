"""Which pictures several runs have been measured on: matched by name and content, so that only the network differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from striate.runs.answers import Answer

Key = tuple[str, int]  # a name, or a hash, and which of those that have it


@dataclass(frozen=True)
class Matched:
    """The pictures of two runs that are the same.

    Args:
        partner: For each picture of the first run the same one's number in the other, None where it has none.
        renamed: How many have another name there, and the same pixels.
        changed: Names that both runs have, for pictures of other pixels.
    """

    partner: list[int | None]
    renamed: int
    changed: list[str]


def match(first: Sequence[Answer], other: Sequence[Answer], same_view: bool) -> Matched:
    """Return which pictures of one run's part are which of another's.

    A picture is the one of the same name, unless the networks were shown other pixels of it; what is left over on both
    sides is matched by its pixels alone.

    Args:
        first, other: What the runs said of their pictures.
        same_view: Whether both networks are shown equal files as equal pixels; else names have to do.
    """
    by_name = _numbered(answer.name for answer in other)
    partner = [by_name.get(key) for key in _numbered(answer.name for answer in first)]
    if not same_view:
        return Matched(partner, 0, [])
    named = list(partner)
    for number, place in enumerate(named):
        if place is not None and other[place].pixels != first[number].pixels:
            partner[number] = None
    taken = set(partner)
    free = [place for place in range(len(other)) if place not in taken]
    single = [number for number, place in enumerate(partner) if place is None]
    by_pixels = dict(zip(_numbered(other[place].pixels for place in free), free, strict=True))
    for number, key in zip(single, _numbered(first[number].pixels for number in single), strict=True):
        partner[number] = by_pixels.get(key)
    changed = [first[n].name for n in single if named[n] is not None and partner[n] is None]
    return Matched(partner, sum(partner[number] is not None for number in single), changed)


def _numbered(texts: Iterable[str]) -> dict[Key, int]:
    """Return the place of each text; equal ones are told apart by how many came before."""
    seen: Counter[str] = Counter()
    places: dict[Key, int] = {}
    for place, text in enumerate(texts):
        places[text, seen[text]] = place
        seen[text] += 1
    return places
