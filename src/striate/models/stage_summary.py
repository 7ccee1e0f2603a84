"""What each stage of a network makes, costs and sees: the rows of its layers added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from striate.models.contract import Classifier
from striate.models.receptive import Fields
from striate.models.summary import summarize_with_outputs

NAMED = 3  # kinds of windows that are told by their sides


@dataclass(frozen=True)
class StageSummary:
    """One stage, or the head, per picture.

    Args:
        name: Of `Classifier.stages`, or 'head'.
        contents: What it is made of, in words, one entry each: '2 conv 3×3', 'max pool 2×2'.
        shape: Output without the batch axis: C h w, or the logits.
        parameters: Number of trainable and fixed weights.
        multiply_adds: Multiplications with an addition each.
        activation_bytes: Bytes of all its layers' outputs in fp32.
        receptive_field: Side in pixels of the square that one output value depends on, cut off at the picture's own.
        fields: Where that square lies, along rows and columns, not cut off; None where it is the whole picture
            wherever the value stands.
    """

    name: str
    contents: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field: int
    fields: Fields | None


def summarize_stages(model: Classifier, input_shape: tuple[int, int, int]) -> list[StageSummary]:
    """Return the stages in the order of use, and the head last; weights outside of all layers belong to the first.

    Args:
        model: The network; its mode and weights are left as they are.
        input_shape: (C, H, W) of one picture.
    """
    rows, outputs = summarize_with_outputs(model, input_shape)
    modules = dict(model.named_modules())
    result = []
    for number, (name, output) in enumerate(outputs.items()):
        own = [row for row in rows if row.stage == name]
        beside = [row for row in rows if not row.stage and number == 0]
        result.append(
            StageSummary(
                name=name,
                contents=_contents([modules[row.name] for row in own]),
                shape=output.shape,
                parameters=sum(row.parameters for row in [*own, *beside]),
                multiply_adds=sum(row.multiply_adds for row in own),
                activation_bytes=sum(row.activation_bytes for row in own),
                receptive_field=output.receptive_field,
                fields=output.fields,
            )
        )
    return result


def _contents(layers: Sequence[nn.Module]) -> tuple[str, ...]:
    windows = [text for module in layers if (text := _window(module))]
    counts = Counter(windows)
    if len(counts) > NAMED:
        counts = Counter(text.rpartition(" ")[0] for text in windows)
    return tuple(text if count == 1 else f"{count} {text}" for text, count in counts.items())


def _window(module: nn.Module) -> str:
    """Return what slides over the picture, or joins all of it; nothing for what works on each value by itself."""
    if isinstance(module, nn.Conv2d):
        depthwise = "depthwise" if module.groups == module.in_channels > 1 else "conv"
        return f"{depthwise} {module.kernel_size[0]}×{module.kernel_size[1]}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        kind = "max" if isinstance(module, nn.MaxPool2d) else "mean"
        side = module.kernel_size if isinstance(module.kernel_size, int) else module.kernel_size[0]
        return f"{kind} pool {side}×{side}"
    if isinstance(module, nn.Linear):
        return f"linear {module.in_features:,}→{module.out_features:,}"
    return ""
