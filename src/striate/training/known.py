"""What is known of a network by the time its training ends: it need not be measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from striate.evaluation import Evaluation


@dataclass(frozen=True)
class Known:
    """Of the network as it is when training has ended.

    Args:
        evaluations: By part; in fp32, not calibrated.
        features: What its last linear layer sees of the pictures of each part, float32 N F on the CPU.
    """

    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    features: Mapping[str, Tensor] = field(default_factory=dict)
