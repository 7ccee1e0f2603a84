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
import torch.nn.functional as F
from torch import Tensor

from striate.core.random import permutation
from striate.evaluation.decision import decide
from striate.explain.saliency.score import looking, pictures_at_once
from striate.models import Classifier

CORNER, BORDER = 0.2, 0.125  # of the sides


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a picture on which no answer should hang.

    Args:
        name: For people: 'top left corner', 'left edge', 'border'.
        mask: bool, H W.
        middle: bool, H W; the same piece moved to the middle of the picture; of the border, all that is within it.
        may_follow: The share of answers that may go with it to another picture, in data without a shortcut.
        may_hang: The share of answers that may be lost with it.
    """

    name: str
    mask: Tensor
    middle: Tensor
    may_follow: float
    may_hang: float

    @property
    def is_corner(self) -> bool:
        """Whether it is one of four of its kind."""
        return self.name.endswith("corner")

    @property
    def area(self) -> float:
        """Its share of the picture."""
        return float(self.mask.double().mean())


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of the answers when a region was exchanged between pictures of different classes.

    Args:
        region: The region.
        tried: int64, K; pictures that were given the region of one of class k, which they were not of.
        followed: int64, K; those of them whose answer became class k.
        had: int64, K; pictures of class k that were given the region of one that is not.
        lost: int64, K; those of them whose answer was no longer k.
        lost_with_middle: int64, K; as many, where the piece in the middle was exchanged instead.
    """

    region: Region
    tried: Tensor
    followed: Tensor
    had: Tensor
    lost: Tensor
    lost_with_middle: Tensor


def regions(height: int, width: int) -> list[Region]:
    """Return the four corners (a fifth of either side), the four edges between them (an eighth), and all the border.

    The last is the border.
    """
    high, wide = (max(1, round(CORNER * side)) for side in (height, width))
    above, beside = (max(1, round(BORDER * side)) for side in (height, width))
    places = {
        "top left corner": (0, 0, high, wide),
        "top right corner": (0, width - wide, high, wide),
        "bottom left corner": (height - high, 0, high, wide),
        "bottom right corner": (height - high, width - wide, high, wide),
        "top edge": (0, wide, above, width - 2 * wide),
        "bottom edge": (height - above, wide, above, width - 2 * wide),
        "left edge": (high, 0, height - 2 * high, beside),
        "right edge": (high, width - beside, height - 2 * high, beside),
    }

    def piece(top: int, left: int, rows: int, columns: int) -> Tensor:
        mask = torch.zeros(height, width, dtype=torch.bool)
        mask[top : top + rows, left : left + columns] = True
        return mask

    found = [
        Region(
            name,
            piece(top, left, rows, columns),
            piece((height - rows) // 2, (width - columns) // 2, rows, columns),
            may_follow=0.15,
            may_hang=0.1 if name.endswith("corner") else 0.25,
        )
        for name, (top, left, rows, columns) in places.items()
        if rows > 0 and columns > 0  # corners of a very small picture leave no edge between them
    ]
    inner = piece(above, beside, height - 2 * above, width - 2 * beside)
    return [*found, Region("border", ~inner, inner, may_follow=0.5, may_hang=0.5)]


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
    receivers: list[int] = []
    givers: list[int] = []
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
) -> list[Outcome]:
    """Return for each region what became of the answers when it was exchanged.

    Args:
        inputs: Network inputs, N C H W, whose answers are right: what decides a wrong one is another question.
        answers: bool, N K; the classes of each picture.
        places: What to exchange.
        count: Most pairs of pictures.
        multi_label: Whether a picture may be of any number of classes.
    """
    receivers, givers = (numbers.to(inputs.device) for numbers in pairs(answers, count))
    answers = answers.to(inputs.device)
    gains = answers[givers] & ~answers[receivers]  # P K
    losses = answers[receivers] & ~answers[givers]
    known: dict[bytes, Tensor] = {}  # corners share their piece in the middle

    def after(mask: Tensor) -> Tensor:
        """Return the answers with what lies in the mask exchanged, bool P K."""
        key = mask.numpy().tobytes()
        if key not in known:
            known[key] = torch.zeros_like(gains)
            for part in torch.arange(len(receivers), device=inputs.device).split(pictures_at_once(inputs)):
                mixed = torch.where(mask.to(inputs.device), inputs[givers[part]], inputs[receivers[part]])
                known[key][part] = answer_flags(decide(model(mixed), multi_label), answers.shape[1])
        return known[key]

    with looking(model), torch.no_grad():
        return [
            Outcome(
                region,
                tried=gains.sum(0).cpu(),
                followed=(gains & after(region.mask)).sum(0).cpu(),
                had=losses.sum(0).cpu(),
                lost=(losses & ~after(region.mask)).sum(0).cpu(),
                lost_with_middle=(losses & ~after(region.middle)).sum(0).cpu(),
            )
            for region in places
        ]


def answer_flags(answers: Tensor, classes: int) -> Tensor:
    """Return answers or labels (int64 N, or bool N K) as bool N K."""
    return answers if answers.ndim == 2 else F.one_hot(answers, classes).bool()
