"""The network through which both pictures are seen, and which of its layers say what content and style are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.data.loader import normalize
from striate.explain.hooks import find_layer
from striate.models import Classifier
from striate.models.one_logit import OneLogit
from striate.models.vgg import VGG

PAPER_CONTENT = "relu4_2"
PAPER_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STAGES = 5


class _Reached(Exception):  # noqa: N818 -- no error: all that is wanted has been computed
    """Nothing behind this layer is wanted."""


@dataclass(frozen=True, eq=False)
class StyleNetwork:
    """A network that only looks: its parameters are never changed.

    Args:
        model: In evaluation mode.
        spec: How pictures become its inputs; their size is free.
        name: What it is called.
        reason: Why this one.
        content: The layer that says what content is.
        style: The layers that say what style is.
    """

    model: Classifier
    spec: ImageSpec
    name: str
    reason: str
    content: str
    style: tuple[str, ...]

    @cached_property
    def layers(self) -> dict[str, nn.Module]:
        """The modules of all these layers, by name.

        Raises:
            SettingsError: There is no such layer.
        """
        named = vgg_layers(self.model)
        return {
            name: named[name] if name in named else find_layer(self.model, name)[1]
            for name in dict.fromkeys([self.content, *self.style])
        }

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.model.parameters()).device

    def maps(self, picture: Tensor) -> dict[str, Tensor]:
        """Return the feature maps, 1 k h w, of the layers by name; nothing behind the last one is computed.

        Args:
            picture: 1 C H W on 0 … 1, float.

        Raises:
            SettingsError: A layer gives no feature maps, or the network takes no pictures of this size.
        """
        outputs: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for name, module in self.layers.items():
                handle = module.register_forward_hook(partial(_keep, outputs, name, len(self.layers)))
                hooks.callback(handle.remove)
            try:
                self.model.features(normalize(picture * 255, self.spec))
            except _Reached:
                pass
            except (RuntimeError, AssertionError, ValueError) as error:
                if _is_of_memory(error):
                    raise
                raise SettingsError(
                    f"the network takes no pictures of {picture.shape[2]} × {picture.shape[3]} pixels ({error})",
                    where=self.name,
                    fix="use another --size or --network",
                ) from None
        useless = [name for name in self.layers if name not in outputs or outputs[name].ndim != 4]
        if useless:
            raise SettingsError(
                "no feature maps come from this layer", where=", ".join(useless), fix=f"use {self._stages()}"
            )
        return outputs

    def on_meta(self) -> StyleNetwork:
        """Return a copy that computes shapes alone."""
        return replace(self, model=copy.deepcopy(self.model).to("meta"))

    def _stages(self) -> str:
        return ", ".join(self.model.stages())


def with_layers(
    model: Classifier, spec: ImageSpec, name: str, reason: str, content: str | None, style: str | None
) -> StyleNetwork:
    """Return the network with the layers that were named, or else those of the paper, or its stages.

    A VGG with the paper's five layers takes these. Of another network the first five stages say what style is, and the
    last but one of them what content is.

    Raises:
        SettingsError: There is no such layer; all of them are named.
    """
    named, stages = vgg_layers(model), tuple(model.stages())[:STAGES]
    is_papers = {PAPER_CONTENT, *PAPER_STYLE} <= named.keys()
    chosen_style = PAPER_STYLE if is_papers else stages
    chosen_content = PAPER_CONTENT if is_papers else stages[max(len(stages) - 2, 0)]
    if style is not None:
        chosen_style = tuple(part.strip() for part in style.split(",") if part.strip())
        if not chosen_style:
            raise SettingsError("names no layer", where=f"--style-layers {style!r}", fix="leave it out")
    network = StyleNetwork(model, spec, name, reason, content or chosen_content, chosen_style)
    _require_layers(network, named)
    return network


def _require_layers(network: StyleNetwork, named: Mapping[str, nn.Module]) -> None:
    problems = []
    for layer in dict.fromkeys([network.content, *network.style]):
        if layer in named:
            continue
        try:
            find_layer(network.model, layer)
        except SettingsError as error:
            problems.append((layer, error))
    if problems:
        fix = problems[0][1].fix if not named else f"use {', '.join(name for name in named if name[:4] == 'relu')}"
        raise SettingsError("no such layer", where=", ".join(layer for layer, _ in problems), fix=fix)


def vgg_layers(model: Classifier) -> dict[str, nn.Module]:
    """Return the layers of a VGG by the literature's names: relu4_2 is the second ReLU of the fourth stage.

    Of other networks there are none.
    """
    vgg = model.net if isinstance(model, OneLogit) else model
    names: dict[str, nn.Module] = {}
    if isinstance(vgg, VGG):
        stage, number = 1, 0
        for layer in vgg.features:
            if isinstance(layer, nn.Conv2d):
                number += 1
                names[f"conv{stage}_{number}"] = layer
            elif isinstance(layer, nn.ReLU):
                names[f"relu{stage}_{number}"] = layer
            elif isinstance(layer, nn.MaxPool2d):
                names[f"pool{stage}"] = layer
                stage, number = stage + 1, 0
    return names


def _keep(outputs: dict[str, Tensor], name: str, wanted: int, module: nn.Module, inputs: Any, output: Any) -> None:
    outputs.setdefault(name, output)
    if len(outputs) == wanted:
        raise _Reached


def _is_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
