"""The grade of a map: whether it shows what the network goes by, and whether that was learned.

| grade | rule |
|---|---|
| fails | the whole picture adds less than 0.1 to the probability that an empty one has: there is nothing to explain; |
|       | or the gain is under 0.05; or the rank correlation with randomised weights is 0.7 or more;                   |
|       | or the map is blank; or the network answers no better than by chance                                         |
| good  | the gain is 0.1 or more, both scores are better than chance, the correlation is under 0.5                    |
| weak  | all else                                                                                                     |

The gain is (insertion − deletion) / 2, as a share of what the whole picture adds. Random orders have a gain of 0, as
either score is then the same; a map has 0.1 where each score is a tenth of the possible better than chance. Adebayo et
al. (2018) found rank correlations around 0 for maps that show what was learned, and well over 0.5 for those that trace
edges whatever the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from striate.explain.saliency.deletion import Curves, cell_means, deletion_and_insertion
from striate.explain.saliency.maps import Maps, saliency
from striate.explain.saliency.randomise import rank_correlation
from striate.models import Classifier

Word = Literal["good", "weak", "fails"]

LEAST_GAP = 0.1
FAILING_GAIN, GOOD_GAIN = 0.05, 0.1
GOOD_CORRELATION, FAILING_CORRELATION = 0.5, 0.7


@dataclass(frozen=True)
class Grade:
    """What a map is worth.

    Args:
        word: good, weak or fails.
        reason: Why it is not good; '' where it is.
        deletion, insertion, chance: Areas under the curves; the same for random orders.
        gap: Probability that the whole picture adds to that of an empty one.
        correlation: Of ranks with the maps of randomised weights, their mean.
    """

    word: Word
    reason: str
    deletion: float
    insertion: float
    chance: float
    gap: float
    correlation: float

    @property
    def gain(self) -> float:
        """(insertion − deletion) / 2 as a share of the gap; 0 without one."""
        return (self.insertion - self.deletion) / 2 / self.gap if self.gap > 0 else 0.0


def grade_maps(
    model: Classifier,
    inputs: Tensor,
    maps: Maps,
    twins: Sequence[Classifier],
    learned: bool,
    multi_label: bool = False,
    steps: int = 14,
    chance: Tensor | None = None,
) -> list[Grade]:
    """Return the grade of each map.

    Args:
        inputs: The pictures of the maps, N C H W.
        twins: Copies with randomised weights (`randomised`), one or more.
        learned: Whether it is known of the network, from labelled pictures, that it answers better than by chance.
            No map tells that: one can be faithful to a network that nobody has trained.
        multi_label: Whether classes have a probability each.
        steps: Of deletion and insertion.
        chance: `random_orders` of these pictures, classes and steps, where it is known already.
    """
    values = maps.values.nan_to_num(0, 0, 0)
    curves = deletion_and_insertion(model, inputs, values, maps.targets, multi_label, steps, chance)
    own = cell_means(values).flatten(1)
    others = [saliency(twin, inputs, maps.method, maps.targets, maps.layer, rough=True).values for twin in twins]
    correlations = [rank_correlation(own, cell_means(other.nan_to_num(0, 0, 0)).flatten(1)) for other in others]
    return _grades(maps, curves, torch.stack(correlations).mean(0), learned)


def _grades(maps: Maps, curves: Curves, correlation: Tensor, learned: bool) -> list[Grade]:
    columns = (curves.deletion_score, curves.insertion_score, curves.chance_score, curves.gap, correlation)
    rows = zip(*(column.tolist() for column in columns), maps.blank, strict=True)
    return [graded(a, b, c, gap, rho, blank, learned) for a, b, c, gap, rho, blank in rows]


def graded(
    deletion: float,
    insertion: float,
    chance: float,
    gap: float,
    correlation: float,
    blank: str | None = None,
    learned: bool = True,
) -> Grade:
    """Return the grade by the rule above; the figures are those of `Grade`.

    Args:
        blank: Why the map says nothing, if it does.
        learned: Whether the network answers better than by chance.
    """

    def with_word(word: Word, reason: str = "") -> Grade:
        return Grade(word, reason, deletion, insertion, chance, gap, correlation)

    gain = with_word("good").gain
    if blank is not None:
        return with_word("fails", f"blank: {blank}")
    if not learned:
        return with_word("fails", "the network answers no better than by chance")
    if gap < LEAST_GAP:
        return with_word("fails", "an empty picture gets this answer, too")
    if correlation >= FAILING_CORRELATION:
        return with_word("fails", "random weights give the same map")
    if gain < FAILING_GAIN:
        return with_word("fails", "random places matter as much")
    if deletion >= chance:
        return with_word("weak", "taking it away harms no more than chance")
    if insertion <= chance:
        return with_word("weak", "showing it helps no more than chance")
    if gain < GOOD_GAIN:
        return with_word("weak", "little better than random places")
    if correlation >= GOOD_CORRELATION:
        return with_word("weak", "random weights give a similar map")
    return with_word("good")
