"""Pictures that show little: of one colour, or dark or bright all over."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from striate.data.audit.finding import Case, Finding, of
from striate.data.audit.pictures import Pictures

BLANK = 3.0  # deviation of all values, in levels
DARK, BRIGHT = 64, 192  # levels
FEW = 0.01  # share of the pixels that may lie beyond
_SIDE = 16


def light_findings(pictures: Pictures) -> list[Finding]:
    """Return blank, dark and bright pictures, by a grid of at most 16 … 31 pixels a side of each.

    Blank: all values deviate by less than 3 of 255 levels from their mean. Dark: of fewer than 1 % of the pixels any
    channel reaches 64; bright: of fewer than 1 % of them every channel is below 192.
    """
    blank, dark, bright = (torch.cat(flags) for flags in zip(*map(_looked_at, pictures.batches()), strict=True))
    kinds = (
        ("blank", "warning", blank, "with hardly anything to see", "leave them out unless they are meant"),
        ("dark", "note", dark & ~blank, "dark all over", "look whether they show their class"),
        ("bright", "note", bright & ~blank, "bright all over", "look whether they show their class"),
    )
    return [
        Finding(
            kind,
            "warning" if level == "warning" else "note",
            f"{of(int(flags.sum()), 'picture')} {what}",
            remedy,
            [Case((pictures.names[number],)) for number in flags.nonzero().squeeze(1).tolist()],
        )
        for kind, level, flags, what, remedy in kinds
        if bool(flags.any())
    ]


def _looked_at(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return whether each picture (uint8, N C H W) is blank, dark, bright: bool N."""
    step = max(min(images.shape[2:]) // _SIDE, 1)
    grid = images[:, :, ::step, ::step].contiguous()
    channels = grid.flatten(2).unbind(1)  # several times as fast as `amax` over so few
    brightest, darkest = reduce(torch.maximum, channels), reduce(torch.minimum, channels)
    pixels = brightest.shape[1]
    blank = grid.flatten(1).float().std(1) < BLANK
    dark = (brightest >= DARK).sum(1) < FEW * pixels
    bright = (darkest < BRIGHT).sum(1) < FEW * pixels
    return blank, dark, bright
