"""Deletion and insertion: whether the answer falls when what a map marks is taken away, and rises when it is shown.

Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC 2018, section 3.3.
Pieces are taken in the map's order, from whole picture to none and the other way. So are they in random orders: what
any order would do to the answer says nothing for the map. Pieces are square cells, a seventh of the picture's side, and
not single pixels, so that map and chance take away pieces of one size: salt and pepper all over a picture destroys any
answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.random import permutation
from striate.evaluation.decision import to_probabilities
from striate.explain.saliency.score import in_parts, looking, pictures_at_once
from striate.models import Classifier

CELLS = 7  # along a picture's longer side
STEPS = 14
ORDERS = 4


@dataclass(frozen=True, eq=False)
class Curves:
    """Probability of each picture's class while more and more of it is shown or taken away; float32, N steps+1 each.

    Args:
        deletion: From the whole picture to nothing, what the map marks most going first.
        insertion: From nothing to the whole picture, what it marks most coming first.
        chance: From nothing to the whole picture in random orders, their mean.
    """

    deletion: Tensor
    insertion: Tensor
    chance: Tensor

    @property
    def deletion_score(self) -> Tensor:
        """Area under the curve, N; the lower, the better the map."""
        return _area(self.deletion)

    @property
    def insertion_score(self) -> Tensor:
        """Area under the curve, N; the higher, the better the map."""
        return _area(self.insertion)

    @property
    def gap(self) -> Tensor:
        """Probability that the whole picture adds to that of an empty one, N."""
        return self.insertion[:, -1] - self.insertion[:, 0]

    @property
    def chance_score(self) -> Tensor:
        """Area under the random orders' curve, N: either score of a map that knows nothing."""
        return _area(self.chance)


def cell_means(values: Tensor) -> Tensor:
    """Return the mean of maps N H W in each cell, N h w; cells at the lower and right edge may be smaller."""
    side = cell_side(values.shape[1], values.shape[2])
    means = F.avg_pool2d(values[:, None], side, ceil_mode=True, count_include_pad=False)
    return means[:, 0]


def cell_side(height: int, width: int) -> int:
    """Return the side of a cell in pixels."""
    return -(-max(height, width) // CELLS)


def deletion_and_insertion(
    model: Classifier,
    inputs: Tensor,
    values: Tensor,
    targets: Tensor,
    multi_label: bool = False,
    steps: int = STEPS,
    chance: Tensor | None = None,
) -> Curves:
    """Return the curves of some maps.

    What is taken away becomes 0 in the network's own input, the mean colour of the training pictures, in both
    directions; Petsiuk et al. begin insertion with a blurred picture, but a blurred digit is still the digit.

    Args:
        inputs: Network inputs, N C H W.
        values: The maps, N H W; the order is that of their means in the cells, the first of equals first.
        targets: Class numbers, int64 N.
        multi_label: Whether classes have a probability each.
        steps: Equal parts in which the cells go.
        chance: The curve of random orders, N steps+1, where it is known already; else it is measured.
    """
    order = cell_means(values).flatten(1).argsort(dim=1, descending=True, stable=True)  # N cells
    rank = order.argsort(1)
    insertion = _shown(model, inputs, rank, targets, multi_label, steps)
    deletion = _shown(model, inputs, order.shape[1] - 1 - rank, targets, multi_label, steps).flip(1)
    if chance is None:
        chance = random_orders(model, inputs, targets, multi_label, steps)
    return Curves(deletion, insertion, chance)


def random_orders(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    multi_label: bool = False,
    steps: int = STEPS,
    orders: int = ORDERS,
) -> Tensor:
    """Return the mean curve over some random orders of the cells, N steps+1; a pure function of the arguments."""
    side = cell_side(inputs.shape[2], inputs.shape[3])
    cells = -(-inputs.shape[2] // side) * -(-inputs.shape[3] // side)
    curves = [
        _shown(
            model,
            inputs,
            permutation(0, number, cells).to(inputs.device).expand(len(inputs), -1),
            targets,
            multi_label,
            steps,
        )
        for number in range(orders)
    ]
    return torch.stack(curves).mean(0)


def _shown(model: Classifier, inputs: Tensor, rank: Tensor, targets: Tensor, multi_label: bool, steps: int) -> Tensor:
    """Return the probabilities, N steps+1, while the cells come in the order of their rank (int64, N cells)."""
    high, wide = inputs.shape[2:]
    side = cell_side(high, wide)
    rows = -(-high // side)
    counts = torch.arange(steps + 1, device=inputs.device) * rank.shape[1] // steps
    together = max(1, pictures_at_once(inputs) // (steps + 1))
    found = []
    with looking(model), torch.no_grad():
        for pictures, ranks, classes in zip(*(part.split(together) for part in (inputs, rank, targets)), strict=True):
            cells = (ranks[:, None] < counts[:, None]).unflatten(2, (rows, -1))  # M steps+1 h w
            masks = cells.repeat_interleave(side, 2).repeat_interleave(side, 3)[:, :, :high, :wide]
            shown = (pictures[:, None] * masks[:, :, None]).flatten(0, 1)
            logits = torch.cat([model(part) for part in in_parts(shown)])
            probabilities = to_probabilities(logits, multi_label).unflatten(0, (len(pictures), -1))  # M steps+1 K
            found.append(probabilities[torch.arange(len(pictures)), :, classes])
    return torch.cat(found)


def _area(curve: Tensor) -> Tensor:
    """Return the area under curves N n+1 over [0, 1], by trapezoids."""
    return (curve[:, 1:] + curve[:, :-1]).mean(1) / 2
