"""Calibration: what held-out pictures have taught of a network's certainty; it travels in the model file."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from striate.evaluation.unknown import UnknownRule


class Calibration(BaseModel):
    """How logits become probabilities, and when an answer is not to be relied on.

    Args:
        temperature: What logits are divided by (evaluation/temperature).
        count: Held-out pictures that it was fitted to; 0 where there were none, and the temperature is 1.
        fingerprint: Of these pictures and their labels, so that figures on them can be told from others.
        reject_below: An answer of a smaller probability is not accepted.
        error_rate: The share of wrong answers, among those accepted, that the threshold was set to keep
            (evaluation/rejection). If none keeps it, `reject_below` is None and no answer is accepted.
        unknown: When a picture counts as unlike the training pictures; None where that is not told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float = Field(1.0, gt=0)
    count: int = Field(0, ge=0)
    fingerprint: str = ""
    reject_below: float | None = Field(None, ge=0, le=1)
    error_rate: float | None = Field(None, gt=0, lt=1)
    unknown: UnknownRule | None = None

    @property
    def has_temperature(self) -> bool:
        """Whether a temperature was fitted."""
        return self.count > 0 and self.temperature != 1

    @property
    def rejects(self) -> bool:
        """Whether there are answers that are not accepted."""
        return self.reject_below is not None or self.error_rate is not None

    def apply(self, logits: Tensor) -> Tensor:
        """Return the logits (N K) over the temperature."""
        return logits / self.temperature

    def accepts(self, confidences: Tensor) -> Tensor:
        """Return which answers of these probabilities (float32, N) are accepted, bool N."""
        if self.reject_below is None:
            return torch.full_like(confidences, int(self.error_rate is None), dtype=torch.bool)  # traceable
        return confidences >= self.reject_below

    def is_unknown(self, scores: Tensor) -> Tensor:
        """Return which pictures of these scores (float32, N) are unlike the training pictures, bool N."""
        assert self.unknown is not None
        return scores > self.unknown.threshold
