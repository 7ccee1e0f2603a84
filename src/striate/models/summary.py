"""What each layer of a network makes, costs and sees: the table behind `striate inspect`.

One picture's shape is sent through the network while every torch function is watched. Multiply-adds are
counted where they happen, and each tensor carries the receptive field of its values along, so any
network can be described, branches included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from striate.models.contract import Classifier, evaluating

HEAD = "head"  # the stage of what comes after the last one


@dataclass(frozen=True)
class Field:
    """Which pixels along an axis a value depends on: `size` of them, the first at `start` + place · `step`.

    Args:
        size: Receptive field in pixels, the border of zeros included; no longer whole where pictures are resized within
            the network.
        step: Distance of neighbouring values in pixels.
        start: Of the value at place 0; negative where it sees the border.
    """

    size: float
    step: float
    start: float = 0.0

    def span(self, place: int) -> tuple[float, float]:
        """Return from and up to which pixel the value at a place depends on the picture, the border included."""
        first = self.start + place * self.step
        return first, first + self.size


@dataclass(frozen=True)
class Output:
    """What comes out of a stage, or of the network: shape, receptive field and where it lies, as in `LayerSummary`."""

    shape: tuple[int, ...]
    receptive_field: int
    field: Field | None


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
        field: Where that square lies; None where it is the whole picture, wherever the value stands, or nothing.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    activation_bytes: int
    stage: str = ""
    field: Field | None = None


class _Watcher(TorchFunctionMode):
    """Counts multiply-adds and carries receptive fields from arguments to results."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        inputs = [a for a in _tensors(args) if hasattr(a, "field")]
        results = list(_tensors([result]))
        if not inputs or not results:
            return result
        seen = _union([a.field for a in inputs])
        made = results[0]
        if name in ("conv2d", "conv1d"):
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.multiply_adds += made.numel() * prod(weight.shape[1:])
            if name == "conv2d":
                stride, dilation = _option(args, kwargs, 3, "stride", 1), _option(args, kwargs, 5, "dilation", 1)
                window = dilation * (weight.shape[-1] - 1) + 1
                padding = {"same": (window - 1) // 2, "valid": 0}
                before = _option(args, kwargs, 4, "padding", 0)
                seen = _slide(seen, window, stride, padding.get(before, before))
        elif name in ("max_pool2d", "avg_pool2d", "_max_pool2d"):
            kernel = _option(args, kwargs, 1, "kernel_size", 1)
            stride = _option(args, kwargs, 2, "stride", None) or kernel
            seen = _slide(seen, kernel, stride, _option(args, kwargs, 3, "padding", 0))
        elif name == "pad" and made.ndim == 4:
            widths = args[1] if len(args) > 1 else kwargs["pad"]
            seen = _pad(seen, widths[0])
        elif name == "interpolate":
            seen = _resize(seen, made.shape[-1] / inputs[0].shape[-1])
        elif name == "linear":
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.multiply_adds += made.numel() * weight.shape[1]
            if made.ndim == 2:  # else it works at each position by itself
                seen = None
        elif name in ("matmul", "__matmul__", "bmm"):
            self.multiply_adds += made.numel() * args[0].shape[-1]
            seen = None
        elif name == "scaled_dot_product_attention":
            queries, keys, values = args[:3]  # … L E, … S E, … S V
            self.multiply_adds += queries.shape[:-1].numel() * keys.shape[-2] * (keys.shape[-1] + values.shape[-1])
            seen = None
        elif name in ("amax", "mean", "group_norm") or name.startswith("adaptive"):
            seen = None
        elif name == "flatten":
            seen = None if made.ndim == 2 else seen
        for tensor in results:
            tensor.field = seen  # type: ignore[attr-defined]
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors within nested lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _option(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    value = args[place] if len(args) > place else kwargs.get(name, default)
    return value[0] if isinstance(value, list | tuple) and value else value


def _slide(seen: Field | None, kernel: int, stride: int, padding: int) -> Field | None:
    """Return the field after a window (Araujo, Norris and Sim, Distill 2019, equations 1, 2 and 5)."""
    if seen is None:
        return None
    return Field(seen.size + (kernel - 1) * seen.step, seen.step * stride, seen.start - padding * seen.step)


def _resize(seen: Field | None, scale: float) -> Field | None:
    """Return the field after bilinear resizing: of two values when enlarging, of 2 / scale when reducing."""
    if seen is None:
        return None
    wider = max(1.0, 2 / scale - 1) * seen.step
    first = seen.start + seen.step * (0.5 / scale - 0.5) - wider / 2
    return Field(seen.size + wider, seen.step / scale, first)


def _pad(seen: Field | None, before: int) -> Field | None:
    """Return the field where so many values of a border have come before the first."""
    return seen and Field(seen.size, seen.step, seen.start - before * seen.step)


def _union(fields: list[Field | None]) -> Field | None:
    """Return the field of branches that meet: from the first pixel to the last that one of them sees."""
    partial = [field for field in fields if field is not None]
    if len(partial) < len(fields):
        return None
    start = min(field.start for field in partial)
    return Field(max(field.start + field.size for field in partial) - start, max(f.step for f in partial), start)


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
        tensor = next(_tensors([output]), None)
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
                field=output.field,
            )
        )

    def output(self, tensor: Tensor) -> Output:
        """Return what a tensor that came out of something is."""
        field: Field | None = getattr(tensor, "field", None)
        depends = hasattr(tensor, "field")
        size = self.side if field is None else min(ceil(field.size), self.side)
        return Output(tuple(tensor.shape[1:]), size if depends else 0, field)

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
    picture.field = Field(1, 1)  # type: ignore[attr-defined]
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
