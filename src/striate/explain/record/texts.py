"""Figures as people read them."""

from __future__ import annotations

from striate.evaluation import Evaluation


def percent(share: float | None, interval: tuple[float, float] | None = None) -> str:
    """Return a share with its 95 % interval: '92.43 % (91.90–92.93)'; 'n/a' where it is not defined."""
    if share is None:
        return "n/a"
    between = "" if interval is None else f" ({100 * interval[0]:.2f}–{100 * interval[1]:.2f})"
    return f"{100 * share:.2f} %{between}"


def part_text(evaluation: Evaluation) -> str:
    """Return what was measured: '10,000 pictures of the test part'."""
    count = f"{evaluation.count:,} picture{'' if evaluation.count == 1 else 's'}"
    return count if evaluation.part == "all" else f"{count} of the {evaluation.part} part"
