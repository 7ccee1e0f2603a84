"""Striate trains, explains and ships convolutional image classifiers.

run = striate.train("photos/")
striate.load(run.path).predict("new.jpg")
striate.chapters(run.path, "new.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from striate.version import __version__

if TYPE_CHECKING:
    from striate.api import Prediction, Predictor, Run, chapters, export, load, resume, train, transfer_style

__all__ = [
    "Prediction", "Predictor", "Run", "__version__", "chapters", "export", "load", "resume", "train", "transfer_style",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for: `striate --help` does not."""
    if name in __all__:
        from striate import api

        return getattr(api, name)
    raise AttributeError(f"module 'striate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
