"""The alarm: when so many answers go with a corner, an edge or the border that chance and good sense do not explain it.

A region raises an alarm, for all classes together or for one, where

- answers follow it: more than 15 % of the pictures that are given another picture's region take its class (more than
  half, if the region is the whole border, 44 % of the picture); or
- answers hang on it: more than 10 % (a corner), 25 % (an edge) or half (the border) are lost when another picture's
  region takes its place, and more than twice as many as when that is done with what it is to be compared with: a corner
  with the other corners, an edge or the border with the middle of the picture.

Both shares may be larger than nothing in good data: an answer hangs by a thread, a trouser leg reaches the edge. The
limits were chosen so that the digits, MNIST, Fashion-MNIST, CIFAR-10 and ants and bees stay below them: 6 % of all
answers or fewer are lost with a corner there, 16 % with an edge, and 39 % with the border; 4 % or fewer follow an edge,
8 % in ants and bees, and 25 % the border. "More than" is meant strictly: the exact binomial test, of the shares against
the limits and of the two numbers lost against two to one, has to reject at a level at which one report in a hundred, or
fewer, has a false alarm if all true shares are at their limits (Bonferroni; half of the level for all classes together,
half for single ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from striate.evaluation.rejection import binomial_cdf
from striate.explain.saliency.transplant import Outcome

FALSE_ALARMS = 0.01  # probability of any in a report
TIMES = 2.0  # as many lost as elsewhere


@dataclass(frozen=True)
class Alarm:
    """A region that carries the decision.

    Args:
        region: Its name.
        label: The class concerned; None for all classes together.
        follows: Whether answers follow it; else they hang on it.
        count, tried: So many of so many answers did.
        elsewhere: Of answers that hang on it, how many were lost with what it is compared with, on average.
    """

    region: str
    label: int | None
    follows: bool
    count: int
    tried: int
    elsewhere: float = 0.0

    @property
    def share(self) -> float:
        """count / tried."""
        return self.count / self.tried


def alarms(outcomes: Sequence[Outcome]) -> list[Alarm]:
    """Return the alarms by the rule above, those for all classes together first, the largest share first."""
    classes = len(outcomes[0].tried) if outcomes else 0
    raised = []
    for label in (None, *range(classes)):
        tests = 2 * len(outcomes) * (1 if label is None else classes)
        level = FALSE_ALARMS / 2 / tests
        raised += [alarm for one in outcomes for alarm in _of(one, outcomes, label, level)]
    return sorted(raised, key=lambda alarm: (alarm.label is not None, -alarm.share))


def _of(one: Outcome, outcomes: Sequence[Outcome], label: int | None, level: float) -> list[Alarm]:
    def count(column: Tensor) -> int:
        return int(column.sum() if label is None else column[label])

    found, region = [], one.region
    tried, followed, had, lost = (count(column) for column in (one.tried, one.followed, one.had, one.lost))
    if at_least(followed, tried, region.may_follow) <= level:
        found.append(Alarm(region.name, label, True, followed, tried))
    others = [count(other.lost) for other in outcomes if region.is_corner and other.region.is_corner and other != one]
    elsewhere = others or [count(one.lost_with_middle)]
    often = at_least(lost, had, region.may_hang)
    more = at_least(lost, lost + sum(elsewhere), TIMES / (TIMES + len(elsewhere)))
    if max(often, more) <= level:
        found.append(Alarm(region.name, label, False, lost, had, sum(elsewhere) / len(elsewhere)))
    return found


def at_least(count: int, tried: int, share: float) -> float:
    """Return the probability of so many or more among those tried, where each is one with probability `share`."""
    return 1.0 if count == 0 else 1.0 - binomial_cdf(count - 1, tried, share)
