"""Figures as people read them."""

from __future__ import annotations

from striate.data.audit.finding import of
from striate.evaluation import Evaluation
from striate.runs.folder import Run


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


def seen_text(count: int, whole: int) -> str:
    """Return a warning that a network was trained on `count` of the pictures that it is measured on."""
    are = "is, pixel for pixel, one" if count == 1 else "are, pixel for pixel, ones"
    seen = f"{count:,} of {of(whole, 'picture')} {are} the network was trained on"
    return f"{seen}: on them accuracy says little of new ones"


def not_kept(run: Run) -> list[str]:
    """Return, as a sentence, that fine-tuning was not kept; nothing where it was, or there was none."""
    from striate.training.transfer import fine_tuning  # measuring a network needs nothing of training

    tuned = fine_tuning(run)
    if tuned is None or tuned["kept"]:
        return []
    after, before = ((tuned[key] or {}).get("accuracy") for key in ("fine_tuned", "head"))
    figures = "" if after is None or before is None else f" (validation accuracy {after:.4f} after {before:.4f})"
    return [
        f"Fine-tuning did not help{figures} and was not kept: the network is the one before it, a head fitted to "
        "frozen features, and its epochs are of the network that was given up."
    ]
