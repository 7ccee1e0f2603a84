"""What the documents leave out, said explicitly: a constant rate, no decay, smoothing, balancing or augmentation."""

from __future__ import annotations

from typing import Any

PLAIN: dict[str, Any] = {
    "schedule": "constant",
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "balance": "none",
    "resize": "crop",
    "flip": False,
    "alternate_flip": False,
    "shift": 0,
    "small_until": 0.0,
    "views": 1,
    "normalize": "none",
}


def plain(**settings: Any) -> dict[str, Any]:
    """Return a document's settings, with nothing chosen by the plan that it does not have."""
    return {**PLAIN, **settings}


def sgd(lr: float, momentum: float = 0.0) -> dict[str, Any]:
    """Return torch's SGD as the documents use it, without Nesterov's form."""
    return {"optimizer": "sgd", "lr": lr, "momentum": momentum, "nesterov": False}


def adam(lr: float) -> dict[str, Any]:
    """Return torch's Adam."""
    return {"optimizer": "adam", "lr": lr}
