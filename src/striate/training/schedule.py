"""Schedule: how far a run is, from 0 to 1, at each of its steps; every course of the learning rate follows from it.

Where a clock decides how long a run is, its number of steps changes under way. The schedule then bends, but never
jumps: from the step of the change on, progress rises in a straight line from where it was to 1 at the new end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Schedule:
    """Progress as straight pieces, each from a step and the progress there to 1 at its own end.

    Args:
        steps: Steps of the whole run, as long as nothing changes that.
    """

    def __init__(self, steps: int) -> None:
        self.pieces: list[tuple[int, float, int]] = [(0, 0.0, steps)]  # first step, progress there, steps in all

    @property
    def steps(self) -> int:
        """Steps of the whole run, by what is known now."""
        return self.pieces[-1][2]

    def progress(self, step: float) -> float:
        """Return the progress at 0 ≤ step ≤ steps; step k + 0.5 is the middle of step k."""
        first, before, steps = self.pieces[bisect_right(self.pieces, step, key=lambda piece: piece[0]) - 1]
        return before + (step - first) / (steps - first) * (1.0 - before)

    def revise(self, step: int, steps: int) -> None:
        """Let the run end after `steps` steps, more than the `step` that are done."""
        assert step < steps
        if steps == self.steps:
            return
        progress = self.progress(step)
        if self.pieces[-1][0] == step:
            self.pieces.pop()
        self.pieces.append((step, progress, steps))

    def load(self, pieces: Iterable[tuple[int, float, int]]) -> None:
        """Put back the pieces of a checkpoint."""
        self.pieces = [(int(first), float(before), int(steps)) for first, before, steps in pieces]
