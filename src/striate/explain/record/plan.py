"""Chapter: how the network was trained, and why so."""

from __future__ import annotations

from typing import Any

from striate.core.duration import duration
from striate.core.errors import SettingsError
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Table
from striate.explain.record.texts import not_kept
from striate.explain.subject import Subject
from striate.runs.ending import Ending, read_ending
from striate.runs.folder import Run
from striate.training.plan import Plan

ENDINGS = {
    "epochs": "It ended after the epochs that were planned.",
    "time": "It ended when the time was used up.",
    "target": "It ended because the accuracy that was wanted was reached.",
    "patience": "It ended because the validation loss no longer fell.",
}


@CHAPTERS.register("plan")
def plan(subject: Subject, effort: Effort) -> Chapter:
    """Return the plan of a run in words, and each setting that was chosen from the data with its reason.

    Raises:
        SettingsError: A model file alone has no plan.
    """
    run = subject.run
    if run is None:
        raise SettingsError("a model file alone does not say how it was trained", fix="give the run folder")
    config = run.config
    made = Plan(config.settings, config.architecture, config.spec, config.reasons, config.costs)
    settings = config.settings.model_dump(mode="json")
    rows = [[key, _value(settings.get(key)), reason] for key, reason in config.reasons.items()]
    told = [line.split(None, 1) for line in made.lines()]
    tables = [Table(["what", "how"], told, "The plan in short")]
    if rows:
        tables.append(Table(["setting", "chosen", "because"], rows, "What was chosen from the training part, and why"))
    given = ", ".join(f"{key} = {_value(value)}" for key, value in config.given.items())
    ending = read_ending(run.path)
    text = [
        "Everything that was not asked for was chosen from the training part alone, before the first step."
        + (f" Asked for was: {given}." if given else " Nothing was asked for."),
        *([_ended(ending)] if ending else []),
        *_transfer(run),
    ]
    values: dict[str, Any] = {"reasons": dict(config.reasons), "given": dict(config.given)}
    return Chapter("plan", "The plan, and its reasons", text, tables=tables, values=values)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ended(ending: Ending) -> str:
    budget = f" of {duration(ending.time_budget)}" if ending.time_budget is not None else ""
    used = f" in {duration(ending.used)}{budget}" if ending.used is not None else ""
    epochs = f"{ending.epochs:,} epoch{'' if ending.epochs == 1 else 's'}"
    return f"{ENDINGS[ending.ended]} There were {epochs}, {ending.steps:,} mini-batches{used}."


def _transfer(run: Run) -> list[str]:
    settings = run.config.settings
    if not settings.transfers:
        return not_kept(run)
    return [
        f"It began from pretrained weights ({settings.pretrained}); transfer.json says how they were used.",
        *not_kept(run),
    ]
