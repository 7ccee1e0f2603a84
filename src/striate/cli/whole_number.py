"""Whole numbers on the command line: read as they are, where cyclopts alone would round 2.5 to 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import Token


def whole_number(kind: Any, tokens: Sequence[Token]) -> int:
    """Return the number of an option's text, for `Parameter(converter=…)`; '30.0' is 30.

    Args:
        kind: int, or a Literal of the numbers that may be given; either with None.
        tokens: The text.

    Raises:
        ValueError: Not a whole number, or none of these; cyclopts names the option.
    """
    (token,) = tokens
    text = token.value.strip()
    whole, point, fraction = text.partition(".")
    try:
        number = int(whole if point and not fraction.strip("0") else text)
    except ValueError:
        raise ValueError(f'"{token.value}" is not a whole number') from None
    allowed = numbers_of(kind)
    if allowed and number not in allowed:
        raise ValueError(f'"{token.value}" is none of {", ".join(map(str, allowed))}')
    return number


def numbers_of(kind: Any) -> tuple[int, ...]:
    """Return the numbers that a Literal consists of; none for any other type."""
    parts = get_args(kind)
    return tuple(one for part in parts for one in ((part,) if isinstance(part, int) else numbers_of(part)))


def is_whole(kind: Any) -> bool:
    """Return whether an option's type is int, or a Literal of such; either with None."""
    return int in (get_args(kind) or (kind,)) or bool(numbers_of(kind))
