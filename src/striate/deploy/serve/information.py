"""What /info tells of the network and the server's limits; nothing of the machine's paths."""

from __future__ import annotations

import platform
from typing import Any

import torch

from striate.deploy.predictor import Predictor
from striate.deploy.serve.service import Service
from striate.version import __version__


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
        "limits": settings.model_dump(
            mode="json", include={"batch_size", "batch_wait", "queue", "max_bytes", "max_pixels", "answer_timeout"}
        ),
        "versions": {"striate": __version__, "python": platform.python_version(), "torch": torch.__version__},
    }


def _engine(predictor: Predictor) -> dict[str, Any]:
    race = predictor.race
    runners = [] if race is None else [runner.model_dump(mode="json") for runner in race.runners]
    return {"name": predictor.engine.name, "device": str(predictor.device), "race": runners}
