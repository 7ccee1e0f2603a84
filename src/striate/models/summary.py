"""What each layer of a network makes, costs and sees: the table behind `striate inspect`.

One picture's shape is sent through the network while every torch function is watched. Multiply-adds are
counted where they happen, and each tensor carries the receptive field of its values along, so any
network can be described, branches included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from striate.models.contract import Classifier, evaluating


@dataclass(frozen=True)
class LayerSummary:
    """One leaf layer, per picture.

    Args:
        name: Its path in the network.
        kind: Its class.
        shape: Output without the batch axis: C h w, or the features.
        parameters: Number of trainable and fixed weights.
        multiply_adds: Multiplications with an addition each.
        receptive_field: Side in pixels of the square of the picture that one output value depends on,
            cut off at the picture's own side.
        activation_bytes: Bytes of the output in fp32.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    activation_bytes: int


@dataclass(frozen=True)
class _Field:
    """Receptive field `size` and the distance `step` between neighbouring values, in pixels."""

    size: int
    step: int


class _Watcher(TorchFunctionMode):
    """Counts multiply-adds and carries receptive fields from arguments to results."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.multiply_adds = 0
        self.busy = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor) or getattr(func, "__name__", "") == "__get__":
            return result
        name = getattr(func, "__name__", "")
        inputs = [a for a in _tensors(args) if hasattr(a, "field")]
        if not inputs:
            return result
        seen = _Field(max(a.field.size for a in inputs), max(a.field.step for a in inputs))
        if name == "conv2d":
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            stride, dilation = _option(args, kwargs, 3, "stride", 1), _option(args, kwargs, 5, "dilation", 1)
            self.multiply_adds += result[0].numel() * prod(weight.shape[1:])
            seen = _slide(seen, dilation * (weight.shape[-1] - 1) + 1, stride)
        elif name in ("max_pool2d", "avg_pool2d", "_max_pool2d"):
            kernel = _option(args, kwargs, 1, "kernel_size", 1)
            stride = _option(args, kwargs, 2, "stride", None) or kernel
            seen = _slide(seen, kernel, stride)
        elif name == "linear":
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.multiply_adds += result[0].numel() * weight.shape[1]
            seen = _Field(self.side, self.side)
        elif name in ("amax", "mean", "flatten") or name.startswith("adaptive"):
            seen = _Field(self.side, self.side)
        result.field = seen  # type: ignore[attr-defined]
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _option(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    value = args[place] if len(args) > place else kwargs.get(name, default)
    return value[0] if isinstance(value, list | tuple) and value else value


def _slide(seen: _Field, kernel: int, stride: int) -> _Field:
    """Return the field after a window (Araujo, Norris and Sim, Distill 2019, equations 1 and 2)."""
    return _Field(seen.size + (kernel - 1) * seen.step, seen.step * stride)


def summarize(model: Classifier, input_shape: tuple[int, int, int]) -> list[LayerSummary]:
    """Return one row per leaf layer in the order of use.

    Args:
        model: The network; its mode and weights are left as they are.
        input_shape: (C, H, W) of one picture.
    """
    rows: list[LayerSummary] = []
    side = max(input_shape[1:])
    device = next(model.parameters()).device
    names = {module: name for name, module in model.named_modules() if not any(module.children())}
    watcher = _Watcher(side)
    counted = 0

    def record(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal counted
        rows.append(
            LayerSummary(
                name=names[module],
                kind=type(module).__name__,
                shape=tuple(output.shape[1:]),
                parameters=sum(p.numel() for p in module.parameters()),
                multiply_adds=watcher.multiply_adds - counted,
                receptive_field=min(output.field.size, side),  # type: ignore[attr-defined]
                activation_bytes=4 * output[0].numel(),
            )
        )
        counted = watcher.multiply_adds

    hooks = [module.register_forward_hook(record) for module in names]
    picture = torch.zeros(1, *input_shape, device=device)
    picture.field = _Field(1, 1)  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), evaluating(model), watcher:
            model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(p.numel() for p in model.parameters())
