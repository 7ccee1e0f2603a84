"""Convolution and cross-correlation of one input with one kernel, in any number of dimensions.

    cross-correlation   y[i] = Σ_k x[i + k] w[k]     slide the kernel, multiply, add up
    convolution         y[i] = Σ_k x[i - k] w[k]     the same with the kernel turned round

In two dimensions i and k are pairs, in three triples. Deep-learning libraries compute the first and
call it the second: a learned kernel does not care which way round it is stored. With convolution, order
does not matter (x * w = w * x), and repeated filters combine into one, which is why mathematics flips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from striate.convolution.padding import Array, Padding, PerAxis, numbers, pad, pad_widths
from striate.convolution.size import output_shape
from striate.convolution.windows import windows


def cross_correlate(x: ArrayLike, w: ArrayLike, padding: Padding = "valid", stride: PerAxis = 1) -> Array:
    """Return the cross-correlation: at each place the products of window and kernel, added up.

    Args:
        x: Input, n1 … nd: a signal (d = 1), a grey picture (2), a volume or a grey film (3).
        w: Kernel, m1 … md.
        padding: 'full', 'same', 'valid' or a number of zeros per side; one for all axes or one per axis.
        stride: One step, or one per axis.

    Returns:
        Output, o1 … od, of `output_shape`.

    Raises:
        SettingsError: The kernel has other axes than the input, or does not fit into it.
    """
    x, w = numbers(x), numbers(w, "kernel")
    output_shape(x.shape, w.shape, padding, stride)  # says what is wrong where the kernel does not fit
    padded = pad(x, pad_widths(w.shape, padding))
    seen = windows(padded, w.shape, stride)  # o1 … od m1 … md
    return np.asarray(np.tensordot(seen, w, axes=w.ndim))  # products summed over m1 … md: o1 … od


def convolve(x: ArrayLike, w: ArrayLike, padding: Padding = "valid", stride: PerAxis = 1) -> Array:
    """Return the convolution: cross-correlation with the kernel flipped along every axis.

    With stride 1 and modes it equals numpy.convolve and scipy.signal.convolve. Arguments, result and
    errors are those of `cross_correlate`.
    """
    return cross_correlate(x, np.flip(numbers(w, "kernel")), padding, stride)
