"""A convolutional layer: several input channels, several kernels, one feature map from each kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from striate.convolution.convolve import cross_correlate
from striate.convolution.padding import Array, Padding, PerAxis, numbers
from striate.core.errors import SettingsError


def feature_maps(
    x: ArrayLike,
    kernels: ArrayLike,
    bias: ArrayLike | None = None,
    padding: Padding = "valid",
    stride: PerAxis = 1,
) -> Array:
    """Return what a convolutional layer makes of one input: map f is Σ_c x[c] ⋆ kernels[f, c] + bias[f].

    A kernel has as many channels as the input, each channel is cross-correlated with its own slice, and
    the results are added: colours are mixed, maps are not.

    Args:
        x: C n1 … nd: one picture with C channels (d = 2), text or sound (d = 1), a film or volume (d = 3).
        kernels: F C m1 … md, as torch stores them.
        bias: F, or None for zeros.
        padding: As in `cross_correlate`.
        stride: One step, or one per axis.

    Returns:
        F o1 … od.

    Raises:
        SettingsError: Channels, axes or biases do not fit together.
    """
    x, kernels = numbers(x), numbers(kernels, "kernels")
    if kernels.ndim != x.ndim + 1 or kernels.shape[1] != x.shape[0]:
        raise SettingsError(
            "kernels F C m1 … md need an input C n1 … nd with the same C",
            where=f"kernels {kernels.shape}, input {x.shape}",
        )
    biases = np.zeros(len(kernels)) if bias is None else numbers(bias, "bias")
    if biases.shape != (len(kernels),):
        raise SettingsError(f"expected one bias per kernel, {len(kernels)}", where=f"bias {biases.shape}")
    return np.stack(
        [
            np.sum([cross_correlate(x[c], kernel[c], padding, stride) for c in range(len(x))], axis=0) + b
            for kernel, b in zip(kernels, biases, strict=True)
        ]
    )
