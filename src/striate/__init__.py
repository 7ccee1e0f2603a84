"""Striate trains, explains and ships convolutional image classifiers.

run = striate.train("photos/")
striate.load(run.path).predict("new.jpg")
striate.explain(run.path, "new.jpg")
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from striate.version import __version__

if TYPE_CHECKING:
    from striate.api import Prediction, Predictor, Run, explain, load, resume, train

__all__ = ["Prediction", "Predictor", "Run", "__version__", "explain", "load", "resume", "train"]


class _Callable(ModuleType):
    """A room of the house that has the name of a function: `striate.explain(…)` is called, its files are imported."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from striate import api

        return getattr(api, self.__name__.rpartition(".")[2])(*arguments, **options)


class _Package(ModuleType):
    """This package: where Python enters a room under the name of a function, the room can be called."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for: `striate --help` does not."""
    if name == "explain":
        return import_module("striate.explain")
    if name in __all__:
        from striate import api

        return getattr(api, name)
    raise AttributeError(f"module 'striate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
