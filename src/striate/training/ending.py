"""Why training ended: recorded in schedule.json, and in a sentence for people."""

from __future__ import annotations

from typing import Literal

from striate.core.settings import TrainSettings
from striate.runs.ending import NAME, Ending, Piece
from striate.runs.folder import Run
from striate.training.state import TrainingState


def record_end(state: TrainingState, settings: TrainSettings, run: Run) -> str:
    """Write schedule.json, and return why training ended: empty where it did its epochs and had no target."""
    reason, target = _reason(state), settings.target_accuracy
    ending = Ending(
        ended=reason,
        epochs=state.epoch,
        steps=state.step,
        time_budget=settings.time_budget,
        used=None if state.budget is None else round(state.budget.used(), 3),
        target_accuracy=target,
        target_reached=None if target is None else state.reached,
        pieces=tuple(Piece(step=step, progress=done, steps=steps) for step, done, steps in state.schedule.pieces),
    )
    run.write_json(NAME, ending.model_dump(mode="json", exclude_none=True))
    if target is not None and state.reached:
        return f"target {target:g} reached in epoch {state.epoch}"
    sentence = {
        "epochs": "all epochs are done",
        "time": "the time is used",
        "patience": f"no better validation loss for {settings.patience} epochs",
    }[reason]
    if target is not None:
        return f"{sentence}; target {target:g} not reached{_highest(run)}"
    return sentence if reason == "patience" else ""


def _reason(state: TrainingState) -> Literal["epochs", "time", "target", "patience"]:
    if state.reached:
        return "target"
    if state.step < state.schedule.steps:
        return "patience"
    return "epochs" if state.budget is None else "time"


def _highest(run: Run) -> str:
    measured = [line for line in run.metrics() if line.get("val_accuracy") is not None]
    best = max(measured, key=lambda line: float(line["val_accuracy"]), default=None)
    return "" if best is None else f": val accuracy {best['val_accuracy']:.4f} at most, in epoch {best['epoch']}"
