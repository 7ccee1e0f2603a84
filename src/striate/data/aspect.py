"""How pictures that are not square become square, where nobody has said it: by the spread of their aspect ratios.

A centre crop is usual and cuts off what lies at the ends of the longer side, which may be the very thing that the
picture shows. It is kept where it cuts little off nearly all pictures (photographs of 4:3 and 3:2 lose a quarter and
a third). Else the whole picture is kept: squashed where all are of about one shape, for then all are distorted
alike, in training as in use; on a background where their shapes differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from striate.core.spec import Resize

MANY = 0.25  # share of the pictures
ALIKE = 1.1  # factor between the shapes of pictures of about one shape …
NEARLY_ALL = 0.9  # … that so many of them have
SQUARE = "the pictures are square"


class ResizeChoice(NamedTuple):
    """What was chosen, and why."""

    resize: Resize
    reason: str


def choose_resize(sizes: Sequence[tuple[int, int]]) -> ResizeChoice:
    """Return how pictures of these sizes (width, height), a sample of all, are best made square."""
    if all(width == height for width, height in sizes):
        return ResizeChoice("crop", SQUARE)
    cut = [3 * min(size) < 2 * max(size) for size in sizes]  # more than a third, exactly
    share = sum(cut) / len(cut)
    if share < MANY:
        few = f"{100 * share:.0f} %" if share else "none"
        return ResizeChoice("crop", f"a centre crop cuts more than a third off {few} of the pictures")
    reason = f"a centre crop would cut more than a third off {100 * share:.0f} % of the pictures"
    ratios = [width / height for width, height in sizes]
    usual = median(ratios)
    alike = sum(1 / ALIKE <= ratio / usual <= ALIKE for ratio in ratios)
    if alike >= NEARLY_ALL * len(ratios):
        return ResizeChoice("squash", f"{reason}; nearly all have the shape {usual:.2f} : 1")
    return ResizeChoice("pad", f"{reason}, which are of different shapes")
