"""Penalties on the size of chosen weights, added to the loss."""

from __future__ import annotations

from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.settings import OptimizerSettings
from striate.models.one_logit import OneLogit

SHOWN = 20


class Penalty:
    """l1 · Σ|w| + l2 · Σw² over the parameters whose names match.

    Under plain SGD the second term is weight decay of 2 · l2; under Adam the two differ, since Adam scales
    the penalty's gradient with the loss's (Loshchilov and Hutter, "Decoupled weight decay", 2017).

    Args:
        model: The network.
        settings: `l1`, `l2`, and `penalty_on`: patterns of parameter names ('classifier.*,*.weight').

    Raises:
        SettingsError: A pattern matches no parameter.
    """

    def __init__(self, model: nn.Module, settings: OptimizerSettings) -> None:
        self.l1, self.l2 = settings.l1, settings.l2
        self.parameters: list[nn.Parameter] = []
        if self.l1 or self.l2:
            self.parameters = _matching(model, settings.penalty_on)

    def __bool__(self) -> bool:
        return bool(self.parameters)

    def __call__(self) -> Tensor:
        """Return the penalty, a float32 scalar with its gradient."""
        terms = []
        if self.l1:
            terms += [self.l1 * p.abs().sum() for p in self.parameters]
        if self.l2:
            terms += [self.l2 * p.square().sum() for p in self.parameters]
        return torch.stack(terms).sum()


def _matching(model: nn.Module, patterns: str) -> list[nn.Parameter]:
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    inner = model.net if isinstance(model, OneLogit) else model  # its names are those of `striate inspect`
    named = {name: p for name, p in inner.named_parameters() if p.requires_grad}
    useless = [pattern for pattern in wanted if not any(fnmatchcase(name, pattern) for name in named)]
    if useless:
        raise SettingsError(
            f"no parameter's name matches {', '.join(map(repr, useless))}",
            where="penalty_on",
            fix=f"the names are: {', '.join(list(named)[:SHOWN])}{' …' if len(named) > SHOWN else ''}",
        )
    return [p for name, p in named.items() if any(fnmatchcase(name, pattern) for pattern in wanted)]
