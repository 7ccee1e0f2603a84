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
        seen = _Field(max(a.field.size for a in inputs), max(a.field.step for a in inputs))
        everything = _Field(self.side, self.side)
        made = results[0]
        if name in ("conv2d", "conv1d"):
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.multiply_adds += made.numel() * prod(weight.shape[1:])
            if name == "conv2d":
                stride, dilation = _option(args, kwargs, 3, "stride", 1), _option(args, kwargs, 5, "dilation", 1)
                seen = _slide(seen, dilation * (weight.shape[-1] - 1) + 1, stride)
        elif name in ("max_pool2d", "avg_pool2d", "_max_pool2d"):
            kernel = _option(args, kwargs, 1, "kernel_size", 1)
            stride = _option(args, kwargs, 2, "stride", None) or kernel
            seen = _slide(seen, kernel, stride)
        elif name == "linear":
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.multiply_adds += made.numel() * weight.shape[1]
            if made.ndim == 2:  # else it works at each position by itself
                seen = everything
        elif name in ("matmul", "__matmul__", "bmm"):
            self.multiply_adds += made.numel() * args[0].shape[-1]
            seen = everything
        elif name == "scaled_dot_product_attention":
            queries, keys, values = args[:3]  # … L E, … S E, … S V
            self.multiply_adds += queries.shape[:-1].numel() * keys.shape[-2] * (keys.shape[-1] + values.shape[-1])
            seen = everything
        elif name in ("amax", "mean", "group_norm") or name.startswith("adaptive"):
            seen = everything
        elif name == "flatten":
            seen = everything if made.ndim == 2 else seen
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


def _slide(seen: _Field, kernel: int, stride: int) -> _Field:
    """Return the field after a window (Araujo, Norris and Sim, Distill 2019, equations 1 and 2)."""
    return _Field(seen.size + (kernel - 1) * seen.step, seen.step * stride)


class _Table:
    """Writes a row whenever a module has run; what its parts have counted is not counted again."""

    def __init__(self, model: nn.Module, side: int) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.watcher = _Watcher(side)
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
        if tensor is None or not (leaf or parameters or own):
            return
        field = getattr(tensor, "field", _Field(0, 0))  # 0: it does not depend on the picture
        self.rows.append(
            LayerSummary(
                name=self.names[module],
                kind=type(module).__name__,
                shape=tuple(tensor.shape[1:]),
                parameters=parameters,
                multiply_adds=own,
                receptive_field=min(field.size, self.watcher.side),
                activation_bytes=4 * tensor.numel() if leaf else 0,
            )
        )

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
    table = _Table(model, max(input_shape[1:]))
    hooks = [module.register_forward_pre_hook(table.enter) for module in table.names]
    hooks += [module.register_forward_hook(table.leave) for module in table.names]
    picture = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    picture.field = _Field(1, 1)  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), evaluating(model), table.watcher:
            model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return table.finish()


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(p.numel() for p in model.parameters())
