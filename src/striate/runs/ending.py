"""schedule.json: how long a run was trained, and why it ended there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

NAME = "schedule.json"


class Piece(BaseModel):
    """From `step` and the progress there, 0 … 1, the run was to end after `steps` steps."""

    model_config = ConfigDict(frozen=True)

    step: int
    progress: float
    steps: int


class Ending(BaseModel):
    """The content of schedule.json.

    Args:
        ended: What training ended by.
        epochs, steps: Done; the last epoch may be a part of one.
        time_budget, used: Seconds there were for the whole run, and those used when training ended.
        target_accuracy, target_reached: The validation accuracy to stop at, and whether that was measured.
        pieces: The schedule; several where the number of steps was fitted to the time under way.
    """

    model_config = ConfigDict(frozen=True)

    ended: Literal["epochs", "time", "target", "patience"]
    epochs: int
    steps: int
    time_budget: float | None = None
    used: float | None = None
    target_accuracy: float | None = None
    target_reached: bool | None = None
    pieces: tuple[Piece, ...]


def read_ending(folder: Path) -> Ending | None:
    """Return how the training in a run folder ended; None where it has not, or the file is damaged."""
    try:
        return Ending.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError):
        return None
