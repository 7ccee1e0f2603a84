"""L-BFGS for smooth convex functions: Nocedal and Wright, "Numerical Optimization", algorithms 7.4 and 7.5.

torch's own class and SciPy's function import for longer than most of our heads take to fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from torch import Tensor

PAIRS = 10
DECREASE = 1e-4  # share of the promised decrease that a step must bring (Armijo's rule)
HALVINGS = 12


def minimise(
    evaluate: Callable[[Tensor], tuple[float, Tensor]],
    start: Tensor,
    inverse: Tensor,
    *,
    tolerance: float = 1e-12,
    most: int = 500,
) -> Tensor:
    """Return where a strictly convex function is least.

    Args:
        evaluate: From a point to the function's value and gradient.
        start: Where to begin, float64.
        inverse: A guess at the inverse of the Hessian's diagonal, positive, broadcast over `start`. Where it is that
            of an upper bound of the Hessian, the first step needs no search.
        tolerance: The search ends where the gradient g satisfies gᵀ·inverse·g ≤ tolerance · |value|, or where
            rounding hides any further decrease.
        most: Steps at most.
    """
    point = start
    for reached in descent(evaluate, start, inverse, tolerance=tolerance, most=most):
        point = reached
    return point


def descent(
    evaluate: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, inverse: Tensor, *, tolerance: float, most: int
) -> Iterator[Tensor]:
    """Yield where each step of `minimise` leads; the value there is the last that was evaluated.

    Of a function that is not convex it finds a place from which no step leads further down. Arguments as in `minimise`.
    """
    point, (value, gradient) = start, evaluate(start)
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=PAIRS)  # step, change of the gradient, 1 / their product
    for _ in range(most):
        if _dot(gradient, inverse * gradient) <= tolerance * abs(value):
            break
        direction = _direction(gradient, inverse, pairs)
        slope = _dot(gradient, direction)
        length = 1.0
        for _ in range(HALVINGS):
            new_value, new_gradient = evaluate(point + length * direction)
            if new_value <= value + DECREASE * length * slope:
                break
            length /= 2
        else:
            break
        step, change = length * direction, new_gradient - gradient
        point, value, gradient = point + step, new_value, new_gradient
        product = _dot(step, change)
        if product > 0:  # rounding may hide the curvature of a very short step
            pairs.append((step, change, 1 / product))
        yield point


def _direction(gradient: Tensor, inverse: Tensor, pairs: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """Return −H·g, H being the inverse Hessian by the pairs seen (the two-loop recursion)."""
    rest = gradient.clone()
    shares = []
    for step, change, over in reversed(pairs):
        share = over * _dot(step, rest)
        rest -= share * change
        shares.append(share)
    scale = 1.0
    if pairs:
        _, change, over = pairs[-1]
        scale = 1 / (over * _dot(change, inverse * change))
    direction = scale * inverse * rest
    for (step, change, over), share in zip(pairs, reversed(shares), strict=True):
        direction += (share - over * _dot(change, direction)) * step
    return -direction


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())
