"""The order in which people count names: 'patient 2' before 'patient 10'."""

from __future__ import annotations

import re
from typing import Any

_DIGITS = re.compile(r"([0-9]+)")


def natural(name: str) -> tuple[tuple[Any, ...], str]:
    """Return the key that sorts names by their text and, within it, by the values of whole numbers.

    Names of equal value ('01', '1') keep the order of their letters, so that no two different names are equal.
    """
    text_and_digits = _DIGITS.split(name)  # in turn, beginning with text
    for place in range(1, len(text_and_digits), 2):
        digits = text_and_digits[place].lstrip("0")
        text_and_digits[place] = (len(digits), digits)  # as values compare, however many there are
    return tuple(text_and_digits), name
