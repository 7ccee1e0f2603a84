"""Chapter: every setting, the machine, and what to type to do it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue

from striate.core.device import describe_machine
from striate.core.paths import to_type
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Table
from striate.explain.subject import Subject
from striate.runs.config import RunConfig
from striate.runs.folder import Run
from striate.version import __version__


@CHAPTERS.register("settings")
def settings(subject: Subject, effort: Effort) -> Chapter:
    """Return all settings with where each comes from, what they were run on, and the commands that repeat it."""
    run = subject.run
    if run is None:
        tables = [_card(subject), _machine(describe_machine(subject.device), "The machine this was made on")]
        text = ["A model file alone says what it takes and gives, not with which settings it was trained."]
        return Chapter("settings", "Settings, environment, and how to do it again", text, tables=tables)
    config = run.config
    commands = how_to_repeat(run)
    tables = [
        Table(["to", "command"], commands, "How to do it again"),
        _settings(config),
        _card(subject),
        _machine(_environment(run.path), "The machine it was trained on"),
    ]
    text = [
        f"The same data (fingerprint {config.fingerprint[:16]}…), settings, seed and version give the same network; on "
        "another machine the last bits of a number may differ."
    ]
    values: dict[str, JsonValue] = {
        "settings": config.settings.model_dump(mode="json"),
        "fingerprint": config.fingerprint,
    }
    values["commands"] = [command for _, command in commands]
    return Chapter("settings", "Settings, environment, and how to do it again", text, tables=tables, values=values)


def how_to_repeat(run: Run) -> list[list[str]]:
    """Return what is to be done, each with the command that does it."""
    config = run.config
    options = [word for key, value in config.given.items() for word in _option(key, value)]
    name = run.path.name
    return [
        ["install this version", to_type("pip", "install", f"striate=={config.striate}")],
        ["train it again", to_type("striate", "train", config.data, *options, "--name", f"{name}-again")],
        ["compare the two", to_type("striate", "compare", run.path, Path("runs") / f"{name}-again")],
        ["measure it", to_type("striate", "evaluate", run.path)],
        ["classify pictures", f"{to_type('striate', 'predict', run.path)} PICTURE…"],
        ["explain pictures", f"{to_type('striate', 'explain', run.path)} PICTURE…"],
    ]


def _option(key: str, value: JsonValue) -> list[str]:
    flag = key.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _settings(config: RunConfig) -> Table:
    rows = []
    for key, value in config.settings.model_dump(mode="json").items():
        origin = "asked for" if key in config.given else "chosen" if key in config.reasons else "default"
        rows.append([key, "off" if value is None else json.dumps(value, ensure_ascii=False).strip('"'), origin])
    return Table(["setting", "value", "from"], rows, "All settings")


def _card(subject: Subject) -> Table:
    spec, card = subject.spec, subject.card
    options = ", ".join(f"{key} = {value}" for key, value in card.architecture.options.items())
    rows = [
        ["network", card.architecture.name + (f" ({options})" if options else "")],
        ["weights (SHA-256)", card.weights_sha256 or "not saved"],
        ["input", " × ".join(map(str, spec.input_shape)) + " (channels, height, width)"],
        ["brought to size by", f"{spec.resize}, {spec.interpolation}"],
        ["mean and deviation", "of each picture" if spec.whiten else f"{_numbers(spec.mean)} and {_numbers(spec.std)}"],
        ["views per picture", str(spec.views)],
        ["classes", ", ".join(spec.classes[:100]) + (" …" if len(spec.classes) > 100 else "")],
    ]
    return Table(["what", "value"], rows, "What the model file says")


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _environment(run: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((run / "environment.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _machine(machine: Mapping[str, Any], caption: str) -> Table:
    rows = [[key.replace("_", " "), str(value)] for key, value in machine.items()]
    rows.append(["this report by", f"striate {__version__}, torch {torch.__version__}"])
    return Table(["what", "value"], rows, caption)
