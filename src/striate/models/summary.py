"""What each layer of a network makes, costs and sees: the table behind `striate inspect`.

One picture's shape is sent through the network while every torch function is watched. Multiply-adds are
counted where they happen, and each tensor carries the receptive fields of its values along, so any
network can be described, branches included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isinf, prod
from typing import Any

import torch
from torch import Tensor, nn

from striate.models.contract import Classifier, evaluating
from striate.models.receptive import Fields, Follower, fields_of, set_fields, tensors_in

HEAD = "head"  # the stage of what comes after the last one


@dataclass(frozen=True)
class Output:
    """What comes out of a stage, or of the network: shape, receptive field and where it lies, as in `LayerSummary`."""

    shape: tuple[int, ...]
    receptive_field: int
    fields: Fields | None


@dataclass(frozen=True)
class LayerSummary:
    """One layer, per picture: a leaf, or a module with weights or multiply-adds beside those of its parts.

    Args:
        name: Its path in the network.
        kind: Its class.
        shape: Output without the batch axis: C h w, or the features.
        parameters: Number of trainable and fixed weights, counted where they are first used.
        multiply_adds: Multiplications with an addition each.
        receptive_field: Side in pixels of the square of the picture that one output value depends on,
            cut off at the picture's own side; 0 where it depends on none of it.
        activation_bytes: Bytes of the output in fp32; 0 where the module's last part has counted it.
        stage: The stage of the network (`Classifier.stages`) that it is part of, 'head' behind the last one; '' for
            weights outside of all layers.
        fields: Where that square lies, along rows and columns; None where it is the whole picture, wherever the
            value stands, or nothing.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    activation_bytes: int
    stage: str = ""
    fields: Fields | None = None


class _Watcher(Follower):
    """Counts multiply-adds, beside carrying receptive fields along."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0

    def note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], made: Tensor) -> None:
        """Count what a call that depends on the picture multiplies."""
        self.multiply_adds += _multiply_adds(name, args, kwargs, made)


def _multiply_adds(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], made: Tensor) -> int:
    """Return the multiplications with an addition each in one call of a torch function."""
    if name in ("conv2d", "conv1d", "linear"):
        weight: Tensor = args[1] if len(args) > 1 else kwargs["weight"]
        return made.numel() * prod(weight.shape[1:])
    if name in ("matmul", "__matmul__", "bmm"):
        return made.numel() * int(args[0].shape[-1])
    if name == "scaled_dot_product_attention":
        queries, keys, values = args[:3]  # … L E, … S E, … S V
        return int(queries.shape[:-1].numel() * keys.shape[-2] * (keys.shape[-1] + values.shape[-1]))
    return 0


class _Table:
    """Writes a row whenever a module has run; what its parts have counted is not counted again."""

    def __init__(self, model: nn.Module, side: int, stages: Mapping[str, nn.Module]) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.side = side
        self.watcher = _Watcher()
        self.stages = [*stages, HEAD]
        self.ends = list(stages.values())
        self.outputs: dict[str, Output] = {}
        self.rows: list[LayerSummary] = []
        self.running: list[int] = []  # multiply-adds that are accounted for, when each module under way began
        self.counted: set[int] = set()

    def enter(self, module: nn.Module, _: Any) -> None:
        """Remember where the module began to count."""
        self.running.append(self.watcher.multiply_adds)

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        """Write the module's row, if it has anything of its own."""
        own = self.watcher.multiply_adds - self.running.pop()
        self.running = [start + own for start in self.running]
        leaf = not any(module.children())
        parameters = self._parameters(module)
        tensor = next(tensors_in([output]), None)
        stage = self.stages[0]
        if self.ends and module is self.ends[0] and tensor is not None:
            self.outputs[stage] = self.output(tensor)
            del self.stages[0], self.ends[0]
        if tensor is None or not (leaf or parameters or own):
            return
        output = self.output(tensor)
        self.rows.append(
            LayerSummary(
                name=self.names[module],
                kind=type(module).__name__,
                shape=output.shape,
                parameters=parameters,
                multiply_adds=own,
                receptive_field=output.receptive_field,
                activation_bytes=4 * tensor.numel() if leaf else 0,
                stage=stage,
                fields=output.fields,
            )
        )

    def output(self, tensor: Tensor) -> Output:
        """Return what a tensor that came out of something is."""
        fields = fields_of(tensor)
        shape = tuple(tensor.shape[1:])
        if fields is None:
            return Output(shape, 0, None)
        size = ceil(min(max(field.size for field in fields), self.side))
        return Output(shape, size, None if any(isinf(field.size) for field in fields) else fields)

    def finish(self) -> list[LayerSummary]:
        """Return the rows, with those of weights whose module is not called itself (a transformer's class token)."""
        for module, name in self.names.items():
            parameters = self._parameters(module)
            if parameters:
                self.rows.append(LayerSummary(name, type(module).__name__, (), parameters, 0, 0, 0))
        return self.rows

    def _parameters(self, module: nn.Module) -> int:
        fresh = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in self.counted}
        self.counted.update(fresh)
        return sum(fresh.values())


def summarize(model: Classifier, input_shape: tuple[int, int, int]) -> list[LayerSummary]:
    """Return one row per layer in the order of use.

    Args:
        model: The network; its mode and weights are left as they are.
        input_shape: (C, H, W) of one picture.
    """
    return summarize_with_outputs(model, input_shape)[0]


def summarize_with_outputs(
    model: Classifier, input_shape: tuple[int, int, int]
) -> tuple[list[LayerSummary], dict[str, Output]]:
    """Return the rows of `summarize`, and what comes out of each stage and, as 'head', of the network."""
    table = _Table(model, max(input_shape[1:]), model.stages())
    hooks = [module.register_forward_pre_hook(table.enter) for module in table.names]
    hooks += [module.register_forward_hook(table.leave) for module in table.names]
    picture = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    set_fields(picture)
    try:
        with torch.no_grad(), evaluating(model), table.watcher:
            logits = model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    table.outputs[HEAD] = table.output(logits)
    return table.finish(), table.outputs


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(p.numel() for p in model.parameters())
