"""Using a trained network: the Predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from striate.deploy.predictor import Prediction, Predictor, load

__all__ = ["Prediction", "Predictor", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for: `striate serve --help` does not."""
    if name in __all__:
        from striate.deploy import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'striate.deploy' has no attribute {name!r}")
