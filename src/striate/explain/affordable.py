"""How many pictures can be sent through a network for so much work: the same number on every machine."""

from __future__ import annotations

from striate.core.spec import ImageSpec
from striate.models import Classifier
from striate.models.summary import summarize


def affordable(model: Classifier, spec: ImageSpec, work: float, most: int) -> int:
    """Return how many passes of one picture so many multiply-adds pay for, 1 … `most`.

    A core does some 10¹⁰ multiply-adds in a second, more in large convolutions and fewer in small ones.

    Args:
        model: The network.
        spec: Its input.
        work: Multiply-adds.
        most: Pictures beyond which nothing is gained.
    """
    each = sum(row.multiply_adds for row in summarize(model, spec.input_shape))
    return max(1, min(most, int(work / max(each, 1))))
