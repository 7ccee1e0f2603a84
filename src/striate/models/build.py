"""From an architecture, which a file can hold, to a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.models.contract import MODELS, Classifier, Factory
from striate.models.one_logit import OneLogit


class Architecture(BaseModel):
    """A network's name and options: with an ImageSpec, enough to build it again.

    Args:
        name: Of one of our networks, or one of timm's.
        options: Keywords of its factory.
        one_logit: Two classes by one logistic output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    one_logit: bool = False


def find(name: str) -> Factory:
    """Return our own network of that name, or else timm's; 'timm/NAME' is always timm's.

    Raises:
        SettingsError: Neither has it.
    """
    if name in MODELS:
        return MODELS[name]
    from striate.models.timm_models import timm_factory  # timm takes seconds to import

    return timm_factory(name)


def build(architecture: Architecture, spec: ImageSpec) -> Classifier:
    """Return a freshly initialised network for the pictures and classes of `spec`.

    Raises:
        SettingsError: Unknown name, unknown option, or pictures too small for the network.
    """
    factory = find(architecture.name)
    options: dict[str, Any] = dict(architecture.options)
    if architecture.one_logit and len(spec.classes) != 2:
        raise SettingsError(
            f"one logistic output tells two classes apart; these are {len(spec.classes)}",
            where="one_logit",
            fix="leave --one-logit out",
        )
    try:
        if architecture.one_logit:
            return OneLogit(factory(spec.input_shape, 1, **options))
        return factory(spec.input_shape, len(spec.classes), **options)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:  # torch refuses sizes with the last one
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(
            f"model '{architecture.name}' cannot be built ({_reason(error)})",
            fix="correct its options or use another model",
        ) from None


def _reason(error: Exception) -> str:
    """Return the error's words, without the name of a function that the user has never heard of."""
    text = str(error)
    return text.partition("() ")[2] or text if isinstance(error, TypeError) else text
