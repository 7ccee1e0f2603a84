"""Durations as people write them: '90', '20s', '2m' or '1h30m' in; '8.3 s', '2:05' or '1:02:05' out."""

from __future__ import annotations

import re

_NUMBER = r"(\d+(?:\.\d+)?)"
_WRITTEN = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")


def read_duration(text: str) -> float | None:
    """Return the seconds in '20s', '2m', '1h30m' (any of the three, in that order), None where it is nothing such."""
    match = _WRITTEN.fullmatch("".join(text.split()))
    if match is None or not any(match.groups()):
        return None
    return sum(float(number or 0) * unit for number, unit in zip(match.groups(), (3600, 60, 1), strict=True))


def duration(seconds: float) -> str:
    """Return a time for people: '8.3 s', '2:05', '1:02:05'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
