"""What /info tells of the network and the server's limits; nothing of the machine's paths."""

from __future__ import annotations

import platform
from typing import Any

import torch

from striate.deploy.predictor import Predictor
from striate.deploy.serve.service import Service
from striate.version import __version__

_LIMITS = {"batch_wait", "queue", "max_bytes", "max_pixels", "receive_timeout", "answer_timeout"}


def information(service: Service) -> dict[str, Any]:
    """Return it as JSON values."""
    served, settings = service.served, service.settings
    card = served.predictor.card
    return {
        "model": served.name,
        "network": card.architecture.name,
        "classes": list(card.spec.classes),
        "spec": card.spec.model_dump(mode="json", exclude={"classes"}),
        "metrics": {part: measured.model_dump(mode="json") for part, measured in card.metrics.items()},
        "engine": _engine(served.predictor),
        "limits": {
            "batch_size": settings.batch_size or served.batch_size,
            **settings.model_dump(mode="json", include=_LIMITS),
        },
        "versions": {"striate": __version__, "python": platform.python_version(), "torch": torch.__version__},
    }


def _engine(predictor: Predictor) -> dict[str, Any]:
    race = predictor.race
    runners = [] if race is None else [runner.model_dump(mode="json") for runner in race.runners]
    return {"name": predictor.engine.name, "device": str(predictor.device), "race": runners}
