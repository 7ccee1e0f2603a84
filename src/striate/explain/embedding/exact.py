"""t-SNE of few pictures, all pairs compared: sooner done than scikit-learn, which is made for many, is imported.

Van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008; its constants are those of scikit-learn.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXAGGERATION, EXPLORING = 12.0, 250  # attraction at first, and for how many iterations
MOMENTA = (0.5, 0.8)  # while exploring, and afterwards
GAIN, LOSS, LEAST_GAIN = 0.2, 0.8, 0.01  # how steps grow and shrink (Jacobs 1988)
_HALVINGS = 64
_TINY = 1e-12


def exact_t_sne(values: Array, perplexity: float, start: Array, iterations: int) -> Array:
    """Return the map, N 2; a pure function of its arguments.

    Args:
        values: N F.
        perplexity: About how many neighbours count.
        start: First places, N 2.
        iterations: Steps.
    """
    attraction = joint_probabilities(values, perplexity)  # N N
    places = start
    rate = max(len(values) / EXAGGERATION / 4, 50)
    exploring = min(EXPLORING, iterations)
    for exaggeration, momentum, steps in (
        (EXAGGERATION, MOMENTA[0], exploring),
        (1.0, MOMENTA[1], iterations - exploring),
    ):
        update, gains = np.zeros_like(places), np.ones_like(places)
        for _ in range(steps):
            slope = gradient(places, exaggeration * attraction)
            gains = np.where(update * slope < 0, gains + GAIN, gains * LOSS).clip(LEAST_GAIN)
            update = momentum * update - rate * gains * slope
            places = places + update
    return places


def joint_probabilities(values: Array, perplexity: float) -> Array:
    """Return p of all pairs, N N with sum 1 (eq. 1 and section 3.1): each picture has so many neighbours, by entropy.

    Args:
        values: N F.
        perplexity: Below N.
    """
    distances = squared_distances(values)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(1, keepdims=True)
    distances = distances - nearest  # which changes no probability, and keeps some from being 0
    low, high = np.zeros((len(values), 1)), np.full((len(values), 1), np.inf)
    precision = np.ones((len(values), 1))
    finite = np.where(np.isfinite(distances), distances, 0)
    for _ in range(_HALVINGS):
        weights = np.exp(-distances * precision)
        total = weights.sum(1, keepdims=True)
        entropy = np.log(total) + precision * (weights * finite).sum(1, keepdims=True) / total
        wide = entropy > math.log(perplexity)
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
        precision = np.where(np.isinf(high), 2 * low, (low + high) / 2)
    weights = np.exp(-distances * precision)
    conditional = weights / weights.sum(1, keepdims=True)
    joint: Array = (conditional + conditional.T) / (2 * len(values))
    return joint


def gradient(places: Array, attraction: Array) -> Array:
    """Return the gradient of the Kullback-Leibler divergence by the places, N 2 (eq. 5).

    Args:
        places: N 2.
        attraction: p of all pairs, N N.
    """
    closeness = 1 / (1 + squared_distances(places))  # Student's t with one degree of freedom
    np.fill_diagonal(closeness, 0)
    repulsion = closeness / max(closeness.sum(), _TINY)
    pull = (attraction - repulsion) * closeness
    slope: Array = 4 * (pull.sum(1, keepdims=True) * places - pull @ places)
    return slope


def squared_distances(rows: Array) -> Array:
    """Return the squared distances of all pairs of rows, N N, never below 0."""
    squares = np.square(rows).sum(1)
    distances: Array = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    return distances
