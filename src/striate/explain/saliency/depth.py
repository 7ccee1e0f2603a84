"""How much to look at: what a network's cost leaves room for, in multiply-adds, which are the same every time."""

from __future__ import annotations

from dataclasses import dataclass

from striate.explain.chapter import Effort
from striate.models import Classifier
from striate.models.summary import summarize

BUDGET: dict[Effort, float] = {"quick": 1.6e10, "full": 1.3e12}  # multiply-adds: about one second, about two minutes
PASSES = {"grad-cam": 3, "grad-cam++": 3, "integrated-gradients": 160, "occlusion": 100}  # forth and back is three
ROUGH = {"grad-cam": 3, "grad-cam++": 3, "integrated-gradients": 48, "occlusion": 100}
PICTURES: dict[Effort, int] = {"quick": 3, "full": 6}
MOST_GIVEN = 24


@dataclass(frozen=True)
class Depth:
    """How closely a picture is looked at.

    Args:
        methods: By which, as in `METHODS`.
        steps, orders: Of deletion and insertion, and of random orders beside them.
        twins: Copies with randomised weights.
    """

    methods: tuple[str, ...]
    steps: int
    orders: int
    twins: int

    @property
    def passes(self) -> int:
        """About how many pictures go through the network for one that is explained."""
        maps = sum(PASSES[method] + self.twins * ROUGH[method] for method in self.methods)
        return maps + self.steps * (2 * len(self.methods) + self.orders)


DEPTHS = (
    Depth(("grad-cam", "grad-cam++", "integrated-gradients", "occlusion"), 14, 4, 2),
    Depth(("grad-cam", "grad-cam++", "integrated-gradients", "occlusion"), 7, 2, 1),
    Depth(("grad-cam", "integrated-gradients", "occlusion"), 7, 2, 1),
    Depth(("grad-cam", "grad-cam++", "occlusion"), 7, 2, 1),
    Depth(("grad-cam", "grad-cam++"), 7, 2, 2),
    Depth(("grad-cam",), 7, 2, 2),
    Depth(("grad-cam",), 4, 1, 1),
)


def affordable(model: Classifier, input_shape: tuple[int, int, int], effort: Effort) -> int:
    """Return how many pictures may go through the network."""
    cost = sum(row.multiply_adds for row in summarize(model, input_shape))
    return int(BUDGET[effort] / max(cost, 1))


def depth_for(passes: int, effort: Effort, given: int | None) -> tuple[Depth, int]:
    """Return how closely to look, and at how many pictures: one at least.

    Args:
        passes: Of `affordable`.
        given: How many pictures are to be explained; None where they are examples of ours.
    """
    count = PICTURES[effort] if given is None else min(given, MOST_GIVEN)
    for depth in DEPTHS:
        if count * depth.passes <= passes:
            return depth, count
    least = DEPTHS[-1]
    return least, max(1, min(count, passes // least.passes))
