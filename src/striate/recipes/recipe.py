"""A recipe: one published system as settings, what was claimed for it, and ours for the same data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from striate.core.registry import Registry
from striate.data.sources import SOURCES
from striate.data.sources.registry import locate_folder


@dataclass(frozen=True)
class Recipe:
    """A system of the documents.

    Args:
        name: As in `striate train --recipe NAME`.
        claim: What was published, how, and what was corrected; the docstring of the recipe's function.
        document: The document it comes from.
        data: The data it was published on, as `striate train` takes them.
        settings: The document's settings, corrected.
        published: Accuracy by part, as the document gives it; empty where it gives none.
        ours: Settings of Striate's own answer on the same data; empty: no option at all.
        instead: Data that stand in where those cannot be had without a network, and settings that differ then.
        seeds: Runs over which a figure is taken.
    """

    name: str
    claim: str
    document: str
    data: str
    settings: Mapping[str, Any]
    published: Mapping[str, float] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    instead: tuple[str, Mapping[str, Any]] | None = None
    seeds: int = 1

    def stand_in(self, data_dir: Path | None = None) -> str | None:
        """Return a sentence where other data than the published ones are used on this machine."""
        data, _, _ = self.place(data_dir)
        return None if data == self.data else f"{self.data} is not on this machine: {data} stands in for it"

    def place(self, data_dir: Path | None = None) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the data to use on this machine, the document's settings and ours for them.

        The published data win; what stands in for them is taken where only that is here.
        """
        source = SOURCES[self.data.partition(":")[0]]
        if self.instead is None or source.find(data_dir) is not None:
            return self.data, dict(self.settings), dict(self.ours)
        name, changes = self.instead
        if locate_folder(name, data_dir)[0] is None:
            return self.data, dict(self.settings), dict(self.ours)  # whose error says which files to put where
        ours = {key: value for key, value in {**self.ours, **changes}.items() if key in self.ours}
        return name, {**self.settings, **changes}, ours


RECIPES: Registry[Recipe] = Registry("recipe")


def recipe(name: str, **facts: Any) -> Callable[[Callable[[], dict[str, Any]]], Recipe]:
    """Return a decorator that enters a function of settings as a recipe; its docstring is the claim."""

    def enter(function: Callable[[], dict[str, Any]]) -> Recipe:
        claim = inspect.getdoc(function)
        assert claim
        return RECIPES.register(name)(Recipe(name, claim, settings=function(), **facts))

    return enter
