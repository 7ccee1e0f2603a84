"""Groups: pictures of one patient, place or film, which no split may divide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.core.natural import natural
from striate.core.paths import to_type


def groups_in_paths(pattern: str, names: Sequence[str], where: object) -> list[str]:
    r"""Return each picture's group: what a regular expression finds in its path, or of that its first bracket.

    Args:
        pattern: 'patient\d+', or '^([^/]+)_' for what stands before the last '_' of the file's name.
        names: The pictures' paths below the data folder.
        where: The data, for messages.

    Raises:
        SettingsError: Not a regular expression.
        DataError: Pictures in which it finds nothing; all of them are named, unless there are no others.
    """
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"not a regular expression ({error})",
            where=to_type("--group", pattern),
            fix=r"write e.g. --group 'patient\d+'",
        ) from None
    found = [match and match[1 if rule.groups else 0] for match in map(rule.search, names)]
    missing = [name for name, group in zip(names, found, strict=True) if not group]
    if len(missing) == len(names) > 1:
        raise DataError(
            f"none of {len(names):,} pictures is in a group, as '{pattern}' finds nothing in their paths; the first is "
            f"{names[0]}",
            where=where,
            fix="change --group so that it finds the group of every picture",
        )
    if missing:
        lines = "\n".join(f"  {name}" for name in missing)
        raise DataError(
            f"{len(missing):,} of {len(names):,} pictures are in no group, as '{pattern}' finds nothing in their "
            f"paths:\n{lines}",
            where=where,
            fix="change --group so that it finds the group of every picture, or move these pictures away",
        )
    return [group for group in found if group]


def group_numbers(groups: Sequence[str]) -> Tensor:
    """Return a number for each picture's group, int64 N, in the order of the groups' sorted names."""
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    return torch.tensor([numbers[group] for group in groups], dtype=torch.int64)


def require_undivided(groups: Sequence[str], parts: Mapping[str, range], where: object) -> None:
    """Refuse data that come in parts of which two hold pictures of one group: DataError, all such groups at once.

    Args:
        groups: The group of each picture.
        parts: The pictures of each part.
        where: The data, for messages.
    """
    counts: dict[str, Counter[str]] = {}
    for part, rows in parts.items():
        for row in rows:
            counts.setdefault(groups[row], Counter())[part] += 1
    divided = {group: counts[group] for group in sorted(counts, key=natural) if len(counts[group]) > 1}
    if divided:
        lines = "\n".join(
            f"  {group}: {', '.join(f'{part} {count:,}' for part, count in of_parts.items())} pictures"
            for group, of_parts in divided.items()
        )
        raise DataError(
            f"{len(divided):,} groups have pictures in more than one part, which would be measured on what was "
            f"learned by heart:\n{lines}",
            where=where,
            fix="move each group into one part, or let striate split: leave the parts out",
        )
