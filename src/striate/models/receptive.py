"""Which pixels of a picture a value within a network can depend on, from the sizes and steps of the layers.

Every tensor on its way through the network carries the span that its values see along both axes; windows widen it
(Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019, equations 1, 2
and 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from striate.models.contract import Classifier, evaluating


@dataclass(frozen=True)
class Field:
    """Along one axis: value i depends on pixels from start + i·step up to, without, start + i·step + size.

    Both may lie beyond the picture, in the padding. `size` is infinite where a value depends on all of it.
    """

    start: float = 0.0
    step: float = 1.0
    size: float = 1.0

    def span(self, index: int) -> tuple[float, float]:
        """Return the first pixel of value `index` and the one after the last, those in the padding included."""
        first = self.start + index * self.step
        return first, first + self.size

    def within(self, index: int, side: int) -> tuple[float, float]:
        """Return the span of value `index` within a picture of `side` pixels."""
        if math.isinf(self.size):
            return 0.0, float(side)
        first, end = self.span(index)
        return min(max(first, 0.0), side), max(min(end, side), 0.0)

    def slide(self, kernel: float, stride: float, before: float) -> Field:
        """Return the field after a window of `kernel` values in steps of `stride`, with padding `before` the first."""
        if math.isinf(self.size):
            return self
        return Field(self.start - before * self.step, self.step * stride, self.size + (kernel - 1) * self.step)

    def joined(self, other: Field) -> Field:
        """Return the field of values that depend on both."""
        if math.isinf(self.size) or math.isinf(other.size) or self.step != other.step:
            return ALL
        start = min(self.start, other.start)
        return Field(start, self.step, max(self.start + self.size, other.start + other.size) - start)


ALL = Field(0.0, 0.0, math.inf)
Fields = tuple[Field, Field]  # along rows, along columns
_WINDOWS = {"conv2d": (3, 4, 5), "max_pool2d": (2, 3, 4), "_max_pool2d": (2, 3, 4), "avg_pool2d": (2, 3, 99)}
_MIXING = ("matmul", "__matmul__", "bmm", "scaled_dot_product_attention", "amax", "mean", "group_norm")


def set_fields(picture: Tensor) -> None:
    """Begin at the picture, N C H W: each pixel sees itself."""
    picture.fields = (Field(), Field())  # type: ignore[attr-defined]


def fields_of(tensor: Tensor) -> Fields | None:
    """Return what a tensor's values see, along rows and columns; None where they do not depend on the picture."""
    return getattr(tensor, "fields", None)


class Follower(TorchFunctionMode):
    """Carries fields from the arguments of torch's functions to their results."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        seen = [fields for tensor in tensors_in([*args, *kwargs.values()]) if (fields := fields_of(tensor)) is not None]
        made = list(tensors_in([result]))
        if seen and made:
            name = getattr(func, "__name__", "")
            fields = _after(name, _together(seen), args, kwargs, made[0])
            for tensor in made:
                tensor.fields = fields  # type: ignore[attr-defined]
            self.note(name, args, kwargs, made[0])
        return result

    def note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], made: Tensor) -> None:
        """Look at a call whose result depends on the picture."""


def receptive_fields(
    model: Classifier, modules: Mapping[str, nn.Module], input_shape: tuple[int, int, int]
) -> dict[str, Fields]:
    """Return the receptive fields of the modules' outputs, along rows and columns.

    Args:
        model: Its mode and weights are left as they are.
        modules: Of the network, each with one tensor as its output; by any names.
        input_shape: (C, H, W) of one network input.
    """
    found: dict[str, Fields] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, inputs, output: found.update({name: fields_of(output) or (ALL, ALL)})

    hooks = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    picture = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    set_fields(picture)
    try:
        with torch.no_grad(), evaluating(model), Follower():
            model(picture)
    finally:
        for one in hooks:
            one.remove()
    return found


def _together(seen: Sequence[Fields]) -> Fields:
    rows, columns = seen[0]
    for others in seen[1:]:
        rows, columns = rows.joined(others[0]), columns.joined(others[1])
    return rows, columns


def _after(name: str, seen: Fields, args: tuple[Any, ...], kwargs: dict[str, Any], made: Tensor) -> Fields:
    """Return the fields of what a function made."""
    if name in _WINDOWS:
        return _slid(name, seen, args, kwargs)
    if name == "pad":
        before = list(args[1] if len(args) > 1 else kwargs["pad"])  # from the last axis on
        left, top = before[0], before[2] if len(before) > 2 else 0
        return seen[0].slide(1, 1, top), seen[1].slide(1, 1, left)
    if name == "interpolate":
        rows, columns = (_resized(args[0].shape[axis] / made.shape[axis], seen[axis - 2]) for axis in (2, 3))
        return rows, columns
    flat = made.ndim == 2 and name in ("linear", "flatten", "reshape", "view")
    return (ALL, ALL) if flat or name in _MIXING or name.startswith("adaptive") else seen


def _slid(name: str, seen: Fields, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fields:
    stride_at, padding_at, dilation_at = _WINDOWS[name]
    second = args[1] if len(args) > 1 else kwargs["weight" if name == "conv2d" else "kernel_size"]
    kernel = tuple(second.shape[2:]) if isinstance(second, Tensor) else _pair(second)
    stride = _option(args, kwargs, stride_at, "stride", 1 if name == "conv2d" else None) or kernel
    dilation = _pair(_option(args, kwargs, dilation_at, "dilation", 1))
    wide = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = _option(args, kwargs, padding_at, "padding", 0)
    if isinstance(padding, str):
        padding = tuple((side - 1) // 2 for side in wide) if padding == "same" else 0
    (step_rows, step_columns), (top, left) = _pair(stride), _pair(padding)
    return seen[0].slide(wide[0], step_rows, top), seen[1].slide(wide[1], step_columns, left)


def _resized(ratio: float, seen: Field) -> Field:
    """Return the field after bilinear resizing to 1 / `ratio` of the side: of two values, of 2 · `ratio` if shrunk."""
    if math.isinf(seen.size):
        return seen
    wider = max(1.0, 2 * ratio - 1) * seen.step
    start = seen.start + seen.step * (ratio / 2 - 0.5) - wider / 2
    return Field(start, seen.step * ratio, seen.size + wider)


def _option(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1])


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Yield the tensors within nested lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)
