"""Transplants: whether the answer goes with a corner, an edge or the border when that is taken from another picture.

A part of a picture carries the decision if another picture's part carries its class along. So a region of one picture
is put in the place of the same region of another one, of another class, and the answer looked at: it follows the
region, or stays with the rest. This is an intervention, as occlusion is; but a covered region is unlike anything that
the network has seen, and a grey patch in a black corner changes answers on its own, whereas another picture's corner is
a corner as corners are: where all corners are black, nothing changes at all. It is the permutation of a feature
(Breiman, "Random forests", 2001, section 10), the feature being a region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.core.random import permutation
from striate.evaluation.decision import decide
from striate.evaluation.rejection import binomial_cdf
from striate.explain.saliency.score import looking, pictures_at_once
from striate.models import Classifier

CORNER, BORDER = 0.2, 0.125  # of the sides
FALSE_ALARMS = 0.01  # probability of any at all, in data whose true shares are as large as is tolerated
TOLERATED, TOLERATED_OF_BORDER = 0.15, 0.5


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a picture.

    Args:
        name: For people: 'top left corner', 'left edge', 'border'.
        mask: bool, H W.
        tolerated: The share of answers that may follow it in data without a shortcut.
    """

    name: str
    mask: Tensor
    tolerated: float = TOLERATED

    @property
    def area(self) -> float:
        """Its share of the picture."""
        return float(self.mask.double().mean())


@dataclass(frozen=True, eq=False)
class Followed:
    """How many answers went with a region to the picture it was taken from.

    Args:
        region: What was transplanted.
        tried: int64, K; pictures that were given the region of one of class k, which they were not of.
        followed: int64, K; those of them whose answer became class k.
        left: int64, K; pictures of class k that were given the region of another class, and lost the answer k.
        had: int64, K; how many of these there were.
    """

    region: Region
    tried: Tensor
    followed: Tensor
    left: Tensor
    had: Tensor


def regions(height: int, width: int) -> list[Region]:
    """Return the four corners (a fifth of either side), the four edges between them (an eighth), and all the border."""
    high, wide = (max(1, round(CORNER * side)) for side in (height, width))
    above, beside = (max(1, round(BORDER * side)) for side in (height, width))
    corners = {
        "top left corner": (slice(None, high), slice(None, wide)),
        "top right corner": (slice(None, high), slice(-wide, None)),
        "bottom left corner": (slice(-high, None), slice(None, wide)),
        "bottom right corner": (slice(-high, None), slice(-wide, None)),
    }
    edges = {
        "top edge": (slice(None, above), slice(wide, -wide)),
        "bottom edge": (slice(-above, None), slice(wide, -wide)),
        "left edge": (slice(high, -high), slice(None, beside)),
        "right edge": (slice(high, -high), slice(-beside, None)),
    }
    found = []
    for name, place in {**corners, **edges}.items():
        mask = torch.zeros(height, width, dtype=torch.bool)
        mask[place] = True
        if mask.any():  # corners of a very small picture leave no edge between them
            found.append(Region(name, mask))
    border = torch.ones(height, width, dtype=torch.bool)
    border[above:-above, beside:-beside] = False
    return [*found, Region("border", border, TOLERATED_OF_BORDER)]


def pairs(answers: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return receivers and givers of different answers, int64 P each; as many of each class as there are, by turns.

    Every picture receives once, until all have: what is counted later is of different pictures.

    Args:
        answers: bool, N K.
        count: Most pairs.
    """
    order = permutation(0, 0, len(answers))
    kinds, kind = answers[order].unique(dim=0, return_inverse=True)
    groups = [order[kind == number] for number in range(len(kinds))]
    if len(groups) < 2:
        return order[:0], order[:0]
    receivers, givers = [], []
    for turn in range(max(map(len, groups))):
        for number, group in enumerate(groups):
            if turn < len(group) and len(receivers) < count:
                other = groups[(number + 1 + turn % (len(groups) - 1)) % len(groups)]
                receivers.append(int(group[turn]))
                givers.append(int(other[turn % len(other)]))
    return torch.tensor(receivers), torch.tensor(givers)


def transplants(
    model: Classifier,
    inputs: Tensor,
    answers: Tensor,
    places: Sequence[Region],
    count: int,
    multi_label: bool = False,
) -> list[Followed]:
    """Return for each region how many answers went with it.

    Args:
        inputs: Network inputs, N C H W, whose answers are right: what decides a wrong one is another question.
        answers: bool, N K; the classes of each picture.
        places: What to transplant.
        count: Most pairs of pictures.
        multi_label: Whether a picture may be of any number of classes.
    """
    receivers, givers = (numbers.to(inputs.device) for numbers in pairs(answers, count))
    answers = answers.to(inputs.device)
    gains = answers[givers] & ~answers[receivers]  # P K
    losses = answers[receivers] & ~answers[givers]
    found = []
    with looking(model), torch.no_grad():
        for region in places:
            mask, after = region.mask.to(inputs.device), torch.zeros_like(gains)
            for part in torch.arange(len(receivers), device=inputs.device).split(pictures_at_once(inputs)):
                logits = model(torch.where(mask, inputs[givers[part]], inputs[receivers[part]]))
                after[part] = answer_flags(decide(logits, multi_label), answers.shape[1])
            found.append(
                Followed(
                    region,
                    tried=gains.sum(0).cpu(),
                    followed=(gains & after).sum(0).cpu(),
                    left=(losses & ~after).sum(0).cpu(),
                    had=losses.sum(0).cpu(),
                )
            )
    return found


def answer_flags(answers: Tensor, classes: int) -> Tensor:
    """Return answers or labels (int64 N, or bool N K) as bool N K."""
    return answers if answers.ndim == 2 else torch.nn.functional.one_hot(answers, classes).bool()


@dataclass(frozen=True)
class Alarm:
    """A region that carries the decision.

    Args:
        region: Its name.
        label: The class that goes with it; None for all classes together.
        followed, tried: So many of so many pictures took the class of the picture that their region came from.
    """

    region: str
    label: int | None
    followed: int
    tried: int

    @property
    def share(self) -> float:
        """followed / tried."""
        return self.followed / self.tried


def alarms(found: Sequence[Followed]) -> list[Alarm]:
    """Return the regions that answers follow more often than is tolerated, the largest share first.

    Some answers go with a region in any data: one that hung by a thread, a trouser leg that reaches the edge. So 15 %
    are tolerated for a corner or an edge, and half for the whole border, 44 % of the picture. An alarm is raised where
    the exact binomial test rejects that the true share is no larger, for a class or for all together. The level is 1 %
    over the number of tests (Bonferroni): in data whose true shares are all tolerable, one report in a hundred has a
    false alarm, or fewer.
    """
    tests = [
        (one, label, int(followed), int(tried))
        for one in found
        for label, followed, tried in [
            (None, one.followed.sum(), one.tried.sum()),
            *zip(range(len(one.tried)), one.followed, one.tried, strict=True),
        ]
        if tried > 0
    ]
    raised = [
        Alarm(one.region.name, label, followed, tried)
        for one, label, followed, tried in tests
        if chance_of(followed, tried, one.region.tolerated) <= FALSE_ALARMS / len(tests)
    ]
    return sorted(raised, key=lambda alarm: -alarm.share)


def chance_of(followed: int, tried: int, tolerated: float) -> float:
    """Return the probability of so many or more where each does so with the tolerated probability."""
    return 1.0 if followed == 0 else 1.0 - binomial_cdf(followed - 1, tried, tolerated)
