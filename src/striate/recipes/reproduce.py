"""The documents' systems run side by side with ours on the same data: what was published, what comes out here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from striate.core.settings import TrainSettings
from striate.recipes.recipe import RECIPES, Recipe
from striate.recipes.result import Outcome, Row
from striate.runs.folder import Run
from striate.training.take_up import take_up

QUICK = {"epochs": 1, "first": 2000}


def reproduce(
    names: Iterable[str], out: Path, *, quick: bool = False, data_dir: Path | None = None, device: str = "auto"
) -> Iterator[Row]:
    """Run recipes and ours for their data, yielding a row after each; what `out` holds already is taken from there.

    Args:
        names: Names of recipes.
        out: Folder of the run folders; a run that was stopped there goes on.
        quick: One epoch on 2,000 pictures: whether everything runs, not what it comes to.
        data_dir: Folder that holds data sets by name.
        device: Where to compute.

    Raises:
        SettingsError: Unknown names, or runs in `out` that were made with other settings.
    """
    recipes = [RECIPES[name] for name in names]
    for recipe in recipes:
        data, settings, ours = recipe.place(data_dir)
        common = {"device": device, **({"data_dir": data_dir} if data_dir else {})}
        if quick:
            common |= {**QUICK, "first": min(QUICK["first"], settings.get("first") or QUICK["first"])}
        # systems that share ours for the same data share its runs, too
        shared = f"ours-{recipe.data.replace(':', '-').replace(',', '-')}" + ("-few" if recipe.ours else "")
        yield Row(
            recipe=recipe.name,
            data=data,
            published=recipe.published.get("test"),
            document=_outcome(recipe, f"document-{recipe.name}", data, {**settings, **common}, out),
            ours=_outcome(recipe, shared, data, {**ours, **common}, out),
            quick=quick,
        )


def _outcome(recipe: Recipe, name: str, data: str, settings: Mapping[str, Any], out: Path) -> Outcome:
    runs = [_run(f"{name}-{seed}", data, {**settings, "seed": seed}, out) for seed in range(recipe.seeds)]
    tests = [json.loads((run.path / "evaluation.json").read_bytes())["test"] for run in runs]
    metrics = [run.metrics() for run in runs]
    return Outcome(
        accuracies=[test["accuracy"] for test in tests],
        count=tests[0]["count"],
        seconds=round(median(len(lines) * median(line["seconds"] for line in lines) for lines in metrics), 2),
        steps=metrics[0][-1]["step"],
        given={key: value for key, value in runs[0].config.given.items() if key not in ("seed", "device", "data_dir")},
    )


def _run(name: str, data: str, settings: Mapping[str, Any], out: Path) -> Run:
    """Return the finished run of that name: as it is found, resumed, or made now."""
    parsed = TrainSettings.parse(settings, where=name)
    job = take_up(data, parsed, given=frozenset(settings), out=out, name=name)
    return Run.open(out / name) if job is None else job.complete()
