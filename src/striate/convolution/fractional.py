"""Fractional max pooling: random tiles shrink a map by a factor such as 1.5 (Graham 2014, arXiv:1412.6071).

Pooling by 2 halves the map each time and is always the same grid. Here the tiles' borders are drawn
anew each time: the map shrinks more slowly, so a network can be deeper, and the jitter regularises.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.convolution.padding import Array, PerAxis, numbers, per_axis
from striate.core.errors import SettingsError

Borders = Literal["random", "pseudorandom"]


def tile_borders(n: int, tiles: int, rng: np.random.Generator, sequence: Borders = "random") -> NDArray[np.int64]:
    """Return the borders 0 = a[0] < a[1] < … < a[tiles] = n, which cut n cells into tiles of α rounded down or up.

    With α = n / tiles, a 'random' sequence shuffles the tiles' lengths; a 'pseudorandom' one is
    a[i] = ⌈α i + t⌉ - ⌈t⌉ for one random t, so that the lengths alternate as evenly as they can. (Of all t
    only tiles many differ: multiples of 1/tiles, one of which is drawn, in whole numbers and so exactly.)

    Args:
        n: Cells along the axis.
        tiles: How many tiles, 1 … n.
        rng: Where randomness comes from; the same generator state gives the same borders.

    Raises:
        SettingsError: More tiles than cells, or an unknown sequence.
    """
    if not 1 <= tiles <= n:
        raise SettingsError(f"expected 1 … {n} tiles of {n} cells", where=f"{tiles} tiles")
    if sequence == "random":
        short, longer = divmod(n, tiles)
        lengths = np.full(tiles, short)
        lengths[:longer] += 1
        return np.concatenate([[0], rng.permutation(lengths).cumsum()])
    if sequence == "pseudorandom":
        t = rng.integers(tiles)  # in units of 1/tiles
        ceilings = -(-(n * np.arange(tiles + 1) + t) // tiles)
        borders: NDArray[np.int64] = ceilings - ceilings[0]
        return borders
    raise SettingsError("expected random or pseudorandom", where=f"sequence {sequence}")


def fractional_max_pool(
    maps: ArrayLike,
    output: PerAxis,
    rng: np.random.Generator,
    sequence: Borders = "random",
    overlapping: bool = False,
) -> Array:
    """Return the largest value in each of the random tiles, the same tiles for all maps.

    Args:
        maps: … n1 n2.
        output: o1 o2, or one number for both.
        rng: Where randomness comes from.
        sequence: How borders are drawn, see `tile_borders`.
        overlapping: Let each tile take in the first row and column of the next ones.

    Returns:
        … o1 o2.

    Raises:
        SettingsError: Fewer than two axes, or more tiles than cells.
    """
    maps = numbers(maps)
    if maps.ndim < 2:
        raise SettingsError("expected maps with rows and columns", where=f"shape {maps.shape}")
    height, width = per_axis(output, 2, "output")
    rows, columns = (
        tile_borders(n, tiles, rng, sequence) for n, tiles in zip(maps.shape[-2:], (height, width), strict=True)
    )

    pooled = np.empty((*maps.shape[:-2], height, width))
    for i, j in np.ndindex(height, width):
        tile = maps[..., rows[i] : rows[i + 1] + overlapping, columns[j] : columns[j + 1] + overlapping]
        pooled[..., i, j] = tile.max(axis=(-2, -1))
    return pooled
