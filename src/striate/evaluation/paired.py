"""Two networks on the same pictures: is one of them better, by how much, and would more pictures tell?

Only pictures of which exactly one network is right say anything about that. In all of this file `lost` is the number
of pictures that the first has right and the second wrong, `gained` that of the opposite, `count` that of all pictures,
and a difference is the second's accuracy minus the first's: (gained - lost) / count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

from striate.evaluation.metrics import Z_95

LEVEL = 0.05  # probability of calling equal networks different
POWER = 0.8  # probability of calling networks different that are


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided p-value of equal accuracies (McNemar 1947, in its exact form).

    Of networks that are equally good, each picture of which one alone is right is lost or gained by the toss of a coin:
    p is twice the binomial probability of min(lost, gained) or fewer, at most 1.
    """
    total = lost + gained
    ways = sum_of_ways = 1  # of choosing k of them, as whole numbers: exact for any total
    for k in range(min(lost, gained)):
        ways = ways * (total - k) // (k + 1)
        sum_of_ways += ways
    return min(1.0, 2 * sum_of_ways / (1 << total))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in the order given (Holm 1979).

    The k-th smallest of m becomes (m - k + 1) times itself, but no less than any smaller one's, and at most 1. Whatever
    is then below a level is so with at most that probability of a single false claim among all of them.
    """
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def difference_interval(lost: int, gained: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two accuracies on the same pictures.

    It spans Tango's score interval and the exact one, given how many pictures differ. So it leaves 0 out exactly where
    McNemar's exact test rejects at 5 %, and says how little is known where no picture differs.
    """
    (low, high), (low_exact, high_exact) = score_interval(lost, gained, count), exact_interval(lost, gained, count)
    return min(low, low_exact), max(high, high_exact)


def exact_interval(lost: int, gained: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval that inverts McNemar's exact test, given the number of pictures that differ.

    Of these a share is gained; of that share Clopper and Pearson's interval (Biometrika 26, 1934) holds what the
    two-sided binomial test, twice the smaller tail, does not reject. A share p of m pictures is a difference of
    (2 p - 1) m / count. (0, 0) where none differs.
    """
    from scipy.special import betaincinv

    differing = lost + gained
    if not differing:
        return 0.0, 0.0
    low = float(betaincinv(gained, lost + 1, LEVEL / 2)) if gained else 0.0
    high = float(betaincinv(gained + 1, lost, 1 - LEVEL / 2)) if lost else 1.0
    return (2 * low - 1) * differing / count, (2 * high - 1) * differing / count


def score_interval(lost: int, gained: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """Return the score interval of the difference of two accuracies on the same pictures, 95 % by default.

    It holds the differences that the score test does not reject (Tango, Statistics in Medicine 17, 1998). It stays
    inside [-1, 1] and is honest where few pictures differ, where the usual ± is not. (-1, 1) for no pictures.
    """
    if count == 0:
        return -1.0, 1.0
    observed = (gained - lost) / count

    def beyond(difference: float) -> bool:
        return abs(_score(difference, lost, gained, count)) > z

    return _boundary(beyond, -1.0, observed), _boundary(beyond, 1.0, observed)


def _score(difference: float, lost: int, gained: int, count: int) -> float:
    """Return Tango's statistic: how many standard deviations the counts are away from a difference."""
    away = gained - lost - count * difference
    # the most probable share of lost pictures where that is the difference: 2 count x² + b x + c = 0
    b = (2 * count - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 8 * count * c, 0.0)) - b) / (4 * count)
    variance = count * (2 * share + difference * (1 - difference))
    if variance <= 0:
        return math.copysign(math.inf, away) if away else 0.0
    return away / math.sqrt(variance)


def _boundary(beyond: Callable[[float], bool], outside: float, inside: float) -> float:
    """Return the end of the differences that are not beyond, between one that is (or is the last there is) and one."""
    if not beyond(outside):
        return outside
    for _ in range(60):  # to the last bit
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if beyond(middle) else (outside, middle)
    return inside


def pictures_needed(lost: int, gained: int, count: int, level: float = LEVEL, power: float = POWER) -> int | None:
    """Return how many such pictures would tell a difference as large as the one observed; None where there is none.

    n = (z(level) √s + z(power) √(s - d²))² / d², with d the difference and s the share of pictures of which one
    network alone is right (Connor, Biometrics 43, 1987): for the two-sided test at `level`, to be right with
    probability `power`.
    """
    if lost == gained or count == 0:
        return None
    difference, differing = (gained - lost) / count, (gained + lost) / count
    normal = NormalDist()
    wanted = normal.inv_cdf(1 - level / 2) * math.sqrt(differing)
    wanted += normal.inv_cdf(power) * math.sqrt(differing - difference**2)
    return math.ceil((wanted / difference) ** 2)
