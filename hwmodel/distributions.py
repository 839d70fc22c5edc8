"""Distributions of counts: chances of 0, 1, 2 .. as arrays.

hypergeometric    places of a group of which so many are drawn
mixed             of one of several
chosen            of so many of several groups, the others being empty
convolved         sums of counts that do not depend on each other
mean_of_drawn     a mean in the share of what is drawn, a formula
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

TINY = 1e-15
"""Chances at the far end that are left out."""

MOST_PLACES = 64
"""Places of which a formula has a term for each number of entries."""

MOST_KNOWN = 2**17
"""Numbers whose factorials are in a table."""


def hypergeometric(size: int, held: int, places: int) -> Reals:
    """How many of so many places hold something, where ``held`` of all are drawn without order.

    Examples
    --------
    Two of four hold something; of two given ones none in 1 of 6 cases, both in 1 of 6.

    >>> hypergeometric(4, 2, 2).round(4).tolist()
    [0.1667, 0.6667, 0.1667]
    """
    least, most = max(0, held + places - size), min(held, places)
    k = np.arange(least, most + 1)
    rest = size - places
    ways = log_factorial(np.concatenate([k, places - k, held - k, rest - held + k]))
    ends = log_factorial(np.array([places, rest, held, size - held, size]))
    logs = ends[:4].sum() - ends[4] - ways.reshape(4, -1).sum(axis=0)
    found = np.zeros(most + 1)
    found[least:] = np.exp(logs)
    return np.asarray(found / found.sum(), np.float64)


def log_factorial(numbers: NDArray[np.int64]) -> Reals:
    """The natural logarithm of k! of each number, 0 or more; up to `MOST_KNOWN` from a table."""
    if numbers.max(initial=0) < MOST_KNOWN:
        return _log_factorials()[numbers]
    from scipy.special import gammaln

    return np.asarray(gammaln(numbers + 1.0))


@lru_cache(maxsize=1)
def _log_factorials() -> Reals:
    from scipy.special import gammaln

    return np.asarray(gammaln(np.arange(1.0, MOST_KNOWN + 1)))


def mean_of_drawn(size: int, share: Any, values: Sequence[float]) -> Any:
    """The mean of a value by how many of so many places hold something, in the share of all that
    do, a symbol or a number: over these numbers n, the value times C(t, n) C(N - t, z - n) / C(N,
    z), as falling products of z and N - z.

    values : of 0, 1, .. t entries of t places.

    >>> mean_of_drawn(4, 0.5, [0, 1, 1])  # any of two, where two of four hold something
    0.8333333333333333
    """
    held, places = share * size, len(values) - 1
    found: Any = 0
    for n, value in enumerate(values):
        if not value:
            continue
        ways = [held - i for i in range(n)] + [size - held - i for i in range(places - n)]
        chance: Any = comb(places, n)
        for number, factor in enumerate(ways):
            chance = chance * (factor / (size - number))
        found = found + value * chance
    return found


def mixed(parts: Sequence[Reals], weights: Reals) -> Reals:
    """Of one of several counts, each with its weight; weights add up to 1."""
    found = np.zeros(max(map(len, parts)))
    for part, weight in zip(parts, weights, strict=True):
        found[: len(part)] += weight * part
    return found


def chosen(parts: Sequence[tuple[Reals, int]], some: int, groups: int) -> Reals:
    """The sum over ``some`` groups of all, picked without order; those not picked count nothing.

    parts : counts, and how many groups have each; groups that are not named count nothing.

    >>> chosen([(np.array([0.0, 1.0]), 2)], some=1, groups=4).tolist()
    [0.5, 0.5, 0.0]
    """
    most = sum((len(part) - 1) * times for part, times in parts)
    ways = np.zeros((some + 1, most + 1))  # of so many picked, by what they count
    ways[0, 0] = 1.0
    for part, times in parts:
        for _ in range(times):
            for picked in range(some, 0, -1):
                ways[picked] += np.convolve(ways[picked - 1], part)[: most + 1]
    rest = groups - sum(times for _, times in parts)
    found = sum(ways[picked] * comb(rest, some - picked) for picked in range(some + 1))
    return np.asarray(found / comb(groups, some), np.float64)


def convolved(parts: Sequence[tuple[Reals, int]]) -> Reals:
    """The sum of so many of each of these counts."""
    found = np.ones(1)
    for part, times in parts:
        power, left = part, times
        while left:
            if left % 2:
                found = _trimmed(np.convolve(found, power))
            left //= 2
            power = _trimmed(np.convolve(power, power)) if left else power
    return found


def at_most(chances: Reals) -> Reals:
    """Chances of k or less, of each k."""
    return np.minimum(np.cumsum(chances), 1.0)


def mean_of_most(chances: Sequence[tuple[Reals, int]], width: int = 1) -> float:
    """The mean of the largest of independent counts, in vectors of ``width`` that round up.

    chances : of each kind of count, and how many there are of it

    Examples
    --------
    Of two dice.

    >>> die = np.array([0, *[1 / 6] * 6])
    >>> round(mean_of_most([(die, 2)]) * 36), round(mean_of_most([(die, 1)], width=4), 4)
    (161, 1.3333)
    """
    most = max((len(part) - 1 for part, times in chances if times), default=0)
    logs = np.zeros(-(-most // width))
    for part, times in chances:
        if not times:
            continue
        below = at_most(part)[::width][: len(logs)]
        with np.errstate(divide="ignore"):
            logs[: len(below)] += times * np.log(below)
    return float(-np.expm1(logs).sum())


def _trimmed(chances: Reals) -> Reals:
    """Without what is too little to be told from rounding at the far end."""
    over = np.flatnonzero(chances > TINY)
    return chances[: int(over[-1]) + 1] if len(over) else chances[:1]
