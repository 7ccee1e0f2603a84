"""Groups that lie in more than one part: pictures of one patient, scene or film on both sides of a split."""

from __future__ import annotations

from torch import Tensor

from striate.data.audit.finding import Case, Finding, of
from striate.data.audit.pictures import Pictures


def groups_across_parts(pictures: Pictures, groups: Tensor) -> list[Finding]:
    """Return the groups that more than one part holds pictures of.

    Args:
        groups: The number of each picture's group, int64 N, in the order of `pictures`.
    """
    parts: dict[int, dict[int, int]] = {}  # of each group the first picture in each part
    for number, (group, part) in enumerate(zip(groups.tolist(), pictures.part.tolist(), strict=True)):
        parts.setdefault(group, {}).setdefault(part, number)
    cases = [
        Case(tuple(pictures.names[number] for number in firsts.values()), "the first of each part")
        for firsts in parts.values()
        if len(firsts) > 1
    ]
    if not cases:
        return []
    told = f"{of(len(cases), 'group')} with pictures in more than one part"
    return [Finding("groups-across-parts", "falsifies", told, "keep each group in one part", cases)]
