"""Costs: what the parts of a run take on the machine it began on, which a run with a time budget is planned by."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Costs(BaseModel):
    """Times in seconds, measured before training, and what followed from them; part of config.json.

    Args:
        step: One training step.
        small_step: One with the smaller pictures that the run begins with; None where it does not.
        small_until: Share of the run that sees these.
        validation: One validation; 0 where there is no validation part.
        features: Frozen features of all pictures, before the first step; 0 where nothing was pretrained.
        finish: Measuring the trained network on all held-out parts, and writing everything.
        epoch_steps: Steps of an epoch.
        validate_every: The validation part is measured after every so many epochs.
        steps: Steps that fitted into the time by these costs; the clock has revised them since.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step: float = Field(gt=0)
    small_step: float | None = Field(None, gt=0)
    small_until: float = Field(0.0, ge=0, lt=1)
    validation: float = Field(ge=0)
    features: float = Field(0.0, ge=0)
    finish: float = Field(ge=0)
    epoch_steps: int = Field(ge=1)
    validate_every: int = Field(1, ge=1)
    steps: int = Field(0, ge=0)

    @property
    def epochs(self) -> float:
        """Epochs that fitted."""
        return self.steps / self.epoch_steps

    def full_steps(self, before: float, after: float) -> float:
        """Return what a step between two shares of the run costs on average, in steps with full-sized pictures.

        Args:
            before, after: Progress of 0 … 1; `after` is the greater one.
        """
        if self.small_step is None:
            return 1.0
        small = min(max(self.small_until - before, 0.0), after - before) / (after - before)
        return 1 - small + small * self.small_step / self.step
