"""TimeBudget: how much of a run's time is used, and how many steps the rest allows.

A probe says before training what a step costs. The machine may be slower or faster later on, so the time of the steps
is measured all along, and the number of steps made to fit what is left. What is measured goes into every checkpoint:
a resumed run has used what it had used then, and goes on deciding from the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from striate.core import clock
from striate.core.duration import duration
from striate.core.errors import SettingsError
from striate.runs.costs import Costs

AIM = 0.97  # share of the time to fill; the rest is for what is not foreseen
LOOK_EVERY = 0.02  # share of the time after which the number of steps is made to fit again
SMOOTHING = 0.5  # weight of the latest stretch in the time of a step
LEAST_STEPS = 20  # fewer teach a network nothing
SPARE = 1.1  # for the least time that is advised


def require_time_for_head(seconds: float, used: float, features: float, writing: float) -> None:
    """Refuse a time in which not even a head on frozen features is fitted: SettingsError with the least that would do.

    Args:
        seconds: All of it.
        used: Of it, until now.
        features: That computing them takes.
        writing: That the run folder takes.
    """
    needed = used + features + writing
    if needed <= seconds:
        return
    raise SettingsError(
        f"{duration(seconds)} are too short here: the start took {duration(used)}, frozen features of all pictures "
        f"take {duration(features)}, writing {duration(writing)}",
        where="time_budget",
        fix=f"--time-budget {math.ceil(SPARE * needed / AIM)}s or more, smaller pictures (--img-size), or leave it out",
    )


class TimeBudget:
    """The time of one run.

    Args:
        seconds: All of it, from the start of the program, or the call, to the finished run folder.
        costs: What the parts of the run took when they were tried.
        started: When this process began with the run (`clock.now`); by default now.
    """

    def __init__(self, seconds: float, costs: Costs, started: float | None = None) -> None:
        self.seconds = seconds
        self.costs = costs
        self.pace = costs.step  # seconds per step with full-sized pictures, lately
        self._started = clock.now() if started is None else started
        self._before = 0.0  # seconds used by earlier processes of the run
        self._looked_at = self.used()
        self._looked_step, self._looked_progress = 0, 0.0
        self._aside = 0.0  # seconds since the last look that no step took

    def used(self) -> float:
        """Return the seconds used, those of earlier processes of the run included."""
        return self._before + clock.now() - self._started

    def begin(self, ahead: float = 0.0) -> int:
        """Return how many steps fit, before the first of them and what takes the `ahead` seconds before it."""
        self._looked_at, self._aside = self.used(), 0.0
        return self._fitting(0, 0.0, self._looked_at + ahead)

    def is_due(self) -> bool:
        """Return whether the last look is long enough ago."""
        return self.used() - self._looked_at >= LOOK_EVERY * self.seconds

    def look(self, step: int, progress: float) -> int:
        """Measure the steps since the last look, and return how many the whole run can have.

        Args:
            step: Steps done, more than at the last look; at least one more follows.
            progress: The run's after these, below 1.
        """
        used = self.used()
        done = (step - self._looked_step) * self.costs.full_steps(self._looked_progress, progress)
        lately = (used - self._looked_at - self._aside) / done
        self.pace += SMOOTHING * (lately - self.pace)
        self._looked_at, self._looked_step, self._looked_progress, self._aside = used, step, progress, 0.0
        return self._fitting(step, progress, used)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do not count what happens inside as the time of steps."""
        before = clock.now()
        try:
            yield
        finally:
            self._aside += clock.now() - before

    def _fitting(self, step: int, progress: float, used: float) -> int:
        costs, slower = self.costs, self.pace / self.costs.step
        # a validation after the last step, others on the way
        left = AIM * self.seconds - used - slower * (costs.finish + costs.validation)
        each = self.pace * costs.full_steps(progress, 1.0) + slower * costs.validation / (
            costs.epoch_steps * costs.validate_every
        )
        return step + max(1, math.floor(left / each))

    def require_steps(self) -> None:
        """Refuse a time that is too short to learn anything: SettingsError with the least that would do."""
        if self.begin() >= LEAST_STEPS:
            return
        costs = self.costs
        used, steps, rest = self.used(), LEAST_STEPS * costs.step, costs.validation + costs.finish
        least = math.ceil(SPARE * (used + steps + rest) / AIM)
        raise SettingsError(
            f"{duration(self.seconds)} are too short here: the start took {duration(used)}, {LEAST_STEPS} steps take "
            f"{duration(steps)}, measuring and writing {duration(rest)}",
            where="time_budget",
            fix=f"--time-budget {least}s or more, smaller pictures (--img-size) or another --model",
        )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it, as JSON values."""
        return {
            "used": self.used(),
            "pace": self.pace,
            "looked_at": self._looked_at,
            "looked_step": self._looked_step,
            "looked_progress": self._looked_progress,
            "aside": self._aside,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; this process's time until now counts as used, but not as the time of steps."""
        starting = clock.now() - self._started
        self._before, self.pace = state["used"], state["pace"]
        self._looked_at = state["looked_at"]
        self._looked_step, self._looked_progress = state["looked_step"], state["looked_progress"]
        self._aside = state["aside"] + starting
