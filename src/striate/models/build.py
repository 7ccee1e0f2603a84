"""From an architecture, which a file can hold, to a network."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
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
    require_options(architecture.name, options)
    try:
        if architecture.one_logit:
            return OneLogit(factory(spec.input_shape, 1, **options))
        return factory(spec.input_shape, len(spec.classes), **options)
    except SettingsError:
        raise
    except Exception as error:  # whatever wrong values, which a file may hold, make of a factory
        raise SettingsError(
            f"model '{architecture.name}' cannot be built ({error})",
            fix="correct its options or use another model",
        ) from None


def require_options(name: str, options: Iterable[str], what: str = "") -> None:
    """Refuse options that a network's factory does not have, naming the networks that do: SettingsError.

    Args:
        name: Of the network.
        options: Their names.
        what: To say of the network: why it is this one.
    """
    parameters = inspect.signature(find(name)).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = [option for option in options if option not in parameters]
    if unknown:
        able = [name for name in MODELS if set(unknown) <= set(inspect.signature(MODELS[name]).parameters)]
        raise SettingsError(
            f"model '{name}'{what} has no option {', '.join(unknown)}",
            fix=f"leave it out, or use --model {' or '.join(able)}" if able else "leave it out",
        )
