"""What modules of a network give out, kept while it computes; the hooks are gone afterwards, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.registry import nearest
from striate.models import Classifier


@contextmanager
def outputs_of(modules: Mapping[str, nn.Module], copied: bool = False) -> Iterator[dict[str, Tensor]]:
    """Keep the output of each module, by name, as of its newest call; attached to the graph where there is one.

    Args:
        modules: By the names under which their outputs are wanted; `model.stages()`, or a choice of it.
        copied: Keep copies, which a ReLU in place that follows leaves alone; the logits do not come from them.
    """
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in modules.items():
            handle = module.register_forward_hook(partial(_keep, outputs, name, copied))
            hooks.callback(handle.remove)
        yield outputs


def _keep(outputs: dict[str, Tensor], name: str, copied: bool, module: nn.Module, inputs: Any, output: Tensor) -> None:
    outputs[name] = output.clone() if copied and isinstance(output, Tensor) else output


def find_layer(model: Classifier, name: str | None) -> tuple[str, nn.Module]:
    """Return a stage, or any module by its name in `named_modules`; the last stage where no name is given.

    Raises:
        SettingsError: No such stage or module; the message names the nearest.
    """
    stages = model.stages()
    if name is None:
        return list(stages.items())[-1]
    layers = {**{path: module for path, module in model.named_modules() if path}, **stages}
    if name not in layers:
        guess = nearest(name, layers)
        hint = f"did you mean '{guess}'? " if guess else ""
        raise SettingsError("no such layer", where=name, fix=f"{hint}Stages: {', '.join(stages)}")
    return name, layers[name]
