"""What a network costs, counted on paper: shapes, parameters, receptive fields and memory, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from striate.convolution.padding import Padding
from striate.convolution.size import output_shape, receptive_field

FP32_BYTES = 4


def conv_parameters(window: Sequence[int], inputs: int, outputs: int) -> int:
    """Return m1·m2·Cin·Cout + Cout: a kernel and a bias for each output map, whatever the picture's size."""
    return prod(window) * inputs * outputs + outputs


def dense_parameters(inputs: int, outputs: int) -> int:
    """Return inputs·outputs + outputs: a weight for every pair and a bias for every output.

    A dense layer in place of a 'same' convolution has n1·n2·Cin inputs and n1·n2·Cout outputs. One neuron
    that looks at a 200×200×3 picture has 120,000 weights.
    """
    return inputs * outputs + outputs


@dataclass(frozen=True)
class Conv:
    """A convolution with bias; an activation in place after it costs nothing more.

    Args:
        outputs: Number of feature maps.
        size: Side of the square kernel.
        padding: As in `cross_correlate`.
        stride: One step for both axes.
    """

    outputs: int
    size: int = 3
    padding: Padding = "valid"
    stride: int = 1


@dataclass(frozen=True)
class Pool:
    """Pooling by square windows.

    Args:
        size: Side of the window.
        stride: The step.
    """

    size: int = 2
    stride: int = 2


@dataclass(frozen=True)
class Dense:
    """A dense layer with bias on the flattened maps.

    Args:
        outputs: Number of neurons.
    """

    outputs: int


Layer = Conv | Pool | Dense
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCount:
    """One row of the table.

    Args:
        layer: What was counted.
        shape: Its output for one picture: C h w, or the neurons.
        parameters: Weights and biases.
        values: Numbers in its output.
        receptive_field: Side in pixels of what one output value depends on, the border included; None
            for dense layers, which see everything.
    """

    layer: Layer
    shape: Shape
    parameters: int
    values: int
    receptive_field: int | None


def count_layers(layers: Iterable[Layer], input_shape: Shape) -> list[LayerCount]:
    """Return one row per layer.

    Args:
        layers: In the order of use.
        input_shape: C H W of one picture.

    Raises:
        SettingsError: A window does not fit into the maps it is given.
    """
    rows: list[LayerCount] = []
    shape = input_shape
    windows: list[tuple[int, int]] = []
    for layer in layers:
        parameters, seen = 0, None
        if isinstance(layer, Dense):
            parameters = dense_parameters(prod(shape), layer.outputs)
            shape = (layer.outputs,)
        else:
            channels, *sides = shape
            square = (layer.size, layer.size)
            if isinstance(layer, Conv):
                parameters = conv_parameters(square, channels, layer.outputs)
                shape = (layer.outputs, *output_shape(sides, square, layer.padding, layer.stride))
            else:
                shape = (channels, *output_shape(sides, square, "valid", layer.stride))
            windows.append((layer.size, layer.stride))
            seen, _ = receptive_field(windows)
        rows.append(LayerCount(layer, shape, parameters, prod(shape), seen))
    return rows


@dataclass(frozen=True)
class ActivationMemory:
    """Bytes that the activations of one picture take.

    Args:
        forward: The picture and every layer's output, all kept, since backward needs them.
        forward_backward: The same and a gradient for each value: twice as much. An upper bound, as a
            gradient can be dropped once the layer below has used it.
    """

    forward: int
    forward_backward: int


def activation_memory(
    layers: Iterable[Layer], input_shape: Shape, bytes_per_value: int = FP32_BYTES
) -> ActivationMemory:
    """Return the memory of one picture's activations; times the batch size for a batch. Weights are not in it.

    Args:
        layers: In the order of use.
        input_shape: C H W.
        bytes_per_value: 4 for fp32, 2 for half precision.
    """
    values = prod(input_shape) + sum(row.values for row in count_layers(layers, input_shape))
    return ActivationMemory(values * bytes_per_value, 2 * values * bytes_per_value)
