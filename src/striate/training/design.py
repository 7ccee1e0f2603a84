"""The form of the default network for pictures of a side and a number of channels, and with more time than usual.

What was chosen was chosen on held-out training pictures (Fashion-MNIST, MNIST, CIFAR-10), at equal processor time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

WIDTHS = {1: (16, 64, 64, 128, 256, 256), 3: (32, 64, 128, 256, 256, 256)}  # by channels
LAST_SIDE = 7
STEM_UP_TO = 64  # pixels of side: of larger pictures a first layer at full size costs more than all the others
# (steps, width): by the steps that the usual width could have in a time budget
WIDER = ((0, 1.0), (5000, 1.5), (10_000, 2.0), (20_000, 3.0))
UNIT = 8  # numbers of feature maps are multiples of this


def fast_options(side: int, channels: int, width: float) -> dict[str, Any]:
    """Return the options of `fast` for pictures whose shorter side is `side` pixels; `width` times the usual widths.

    As many pooled stages as bring the side to 7 pixels or fewer, at least three. The second convolution of a stage
    sees a quarter of the pixels and costs little; a whitening stem costs about what it saves in the first stage.
    Pictures that the stages bring to a single pixel have neither.
    """
    stages = max(3, math.ceil(math.log2(side / LAST_SIDE)))
    room = 2**stages < side
    return {
        "widths": [max(1, round(width * maps / UNIT)) * UNIT for maps in WIDTHS[1 if channels == 1 else 3][:stages]],
        "depth": 2 if room else 1,
        "stem": "whitened" if room and side <= STEM_UP_TO else "none",
    }


def least_side(options: Mapping[str, Any]) -> int:
    """Return the side in pixels that `fast` with these options needs: every stage halves it, a stem takes a pixel."""
    stages, has_stem = len(options["widths"]), bool(options["stem"] != "none")
    return (1 << stages) + has_stem


def worthwhile_width(steps: int) -> float:
    """Return the width on which a time is best spent that would do for so many steps at the usual one."""
    return next(width for least, width in reversed(WIDER) if steps >= least)
