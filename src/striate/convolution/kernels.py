"""Kernels made by hand: detectors of lines and edges, and blurs. A network learns such ones by itself.

They are meant for cross-correlation: bright pixels where the kernel is positive and dark ones where it
is negative give a large output. The weights of a detector add up to 0, so plain areas give exactly 0.
"""

from __future__ import annotations

import numpy as np

from striate.convolution.padding import Array, numbers
from striate.core.errors import SettingsError
from striate.core.registry import Registry

LARGEST = 1e6  # a weight
KERNELS: Registry[Array] = Registry("kernel")


def _add(name: str, rows: list[list[float]], divisor: float = 1.0) -> None:
    kernel = np.array(rows) / divisor
    kernel.setflags(write=False)
    KERNELS.register(name)(kernel)


_add("vertical", [[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]])  # lines
_add("horizontal", [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]])
_add("diagonal", [[2, -1, -1], [-1, 2, -1], [-1, -1, 2]])  # from top left to bottom right
_add("antidiagonal", [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]])
_add("sobel-vertical", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # edges: dark at the left, bright at the right
_add("sobel-horizontal", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]])  # dark above, bright below
_add("prewitt-vertical", [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
_add("prewitt-horizontal", [[-1, -1, -1], [0, 0, 0], [1, 1, 1]])
_add("laplacian", [[0, 1, 0], [1, -4, 1], [0, 1, 0]])  # edges of every direction
_add("box-blur", [[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9)  # the mean of a window
_add("gaussian-blur", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16)


def read_kernel(text: str) -> Array:
    """Return a kernel by its name, or from its numbers: rows end with ';', numbers with ','.

    Raises:
        SettingsError: An unknown name, rows of different lengths, or something that is not a number of up to a million.
    """
    if not any(sign in text for sign in ",;") and any(letter.isalpha() for letter in text.replace("e", "")):
        return KERNELS[text]
    try:
        rows = [[float(number) for number in row.split(",")] for row in text.strip("; ").split(";")]
        kernel = numbers(rows, "kernel")
    except ValueError:
        kernel = np.array([[np.nan]])
    if not (np.abs(kernel) <= LARGEST).all():  # NaN included
        raise SettingsError(
            f"expected a name or rows of numbers up to {LARGEST:g}, all of equal length",
            where=f"kernel '{text}'",
            fix=f"like 1,0,-1;2,0,-2;1,0,-1 or one of {', '.join(KERNELS)}",
        )
    return kernel
