"""The mean of a maximum, from the mean and the variance of each count.

    E[max] = lowest + integral of 1 - product of F_i(x) over x from lowest on

F_i is that of a scaled Poisson count where few entries are expected, else of a normal one; both
have the mean and the variance that are given.  Counts are taken as independent: what they have in
common is to be left out of the variances.

`chances_of_most` has the whole distribution by the same chances, `chances_of_drawn` that of the
most in cells of places of which so many are drawn, exactly; `mean_rounded` rounds up what is on
several multipliers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.distributions import convolved, log_factorial

Reals = NDArray[np.float64]
Chances = tuple[int, Reals]
"""The first number, and the chances of it and of those that follow."""

FEW = 30.0
"""Entries (mean over scale) below which a count is taken as Poisson, from which as normal."""

MANY = 128
"""Entries that a Poisson count of fewer than `FEW` does not reach."""

LOG_FACTORIALS = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, MANY + 1)))])

REACH = 8.0
"""Standard deviations that the integral reaches beyond the largest mean."""

SMOOTH = np.linspace(0.0, 1.0, 97)
STEPPED = np.linspace(0.0, 1.0, 257)
"""Points of the integral where all counts are normal, and where some have steps."""

TOGETHER = 4096
"""Kinds of counts that are evaluated at a time."""

MOST_NUMBERS = 128
"""Whole numbers that a largest count may be, where each has its chance; of more, those that are
left over when they are shared among multipliers are as likely as each other."""


def mean_of_maximum(
    mean: Reals, variance: Reals, full: Reals | None = None, many: NDArray[np.intp] | None = None
) -> float:
    """Mean of the largest of several counts; 0 of none.

    Parameters
    ----------
    mean, variance : of each kind of count, of one shape (n,)
    full : what each is at most
    many : how many there are of each kind; one where it is left out

    Examples
    --------
    Of two standard normal numbers, 1/sqrt(pi); of what does not vary, the largest.

    >>> round(mean_of_maximum(np.full(2, 1e6), np.ones(2)) - 1e6, 3)
    0.564
    >>> mean_of_maximum(np.array([3.0, 5.0]), np.zeros(2))
    5.0
    """
    if not len(mean):
        return 0.0
    spread = np.sqrt(np.maximum(variance, 0.0))
    if not spread.any():
        return float(mean.max())
    lowest = max(float((mean - REACH * spread).max()), 0.0)
    highest = float((mean + REACH * spread + (spread > 0)).max())
    steps = SMOOTH if np.all(mean * mean >= FEW * variance) else STEPPED
    x = lowest + steps * (highest - lowest)
    logs = np.zeros(len(x))
    for first in range(0, len(mean), TOGETHER):
        some = slice(first, first + TOGETHER)
        found = _log_at_most(x, mean[some], spread[some])
        if full is not None:
            found[x >= full[some, None]] = 0.0
        logs += found.sum(axis=0) if many is None else many[some] @ found
    more = -np.expm1(logs)
    trapezoids = (more.sum() - (more[0] + more[-1]) / 2) * (x[1] - x[0])
    return lowest + float(trapezoids)


def chances_of_most(
    mean: Reals, variance: Reals, full: Reals | None = None, many: NDArray[np.intp] | None = None
) -> Chances | None:
    """Chances of each whole number to be the largest of several counts; None where there are more
    than `MOST_NUMBERS` that it may be.  See `mean_of_maximum`."""
    if not len(mean):
        return 0, np.ones(1)
    spread = np.sqrt(np.maximum(variance, 0.0))
    lowest = max(float((mean - REACH * spread).max()), 0.0)
    highest = float((mean + REACH * spread).max())
    first, last = int(np.floor(lowest)), int(np.ceil(highest)) + 1
    if last - first > MOST_NUMBERS:
        return None
    x = np.arange(first, last + 1.0)
    logs = np.zeros(len(x))
    found = _log_at_most(x, mean, spread, half=0.5)
    if full is not None:
        found[x >= full[:, None]] = 0.0
    logs = found.sum(axis=0) if many is None else many @ found
    below = np.exp(logs)
    below[-1] = 1.0
    return first, np.diff(below, prepend=0.0)


def chances_of_drawn(
    cells: Sequence[int], many: Sequence[int], size: int, held: int
) -> tuple[int, Reals]:
    """Chances of each whole number to be the most that a cell holds.

    Counts of places that are drawn one by one, so many in all, are those of places that hold
    something each by itself, given that so many do:

        P(no cell holds more than t) = sum over s P(cells hold s, none more than t) * P(the rest
                                       holds held - s) / P(all hold held)

    cells, many : places of each kind of cell, no two of which share one; how many cells there are.
    size, held : all places, and how many of them are drawn without order.

    Examples
    --------
    One of two places: one of two cells always holds it.

    >>> chances_of_drawn([1], [2], 2, 1)[1].tolist()
    [0.0, 1.0]
    """
    most = max(cells, default=0)
    row = sum(n * k for n, k in zip(cells, many, strict=True))
    if held in (0, size):
        return most if held else 0, np.ones(1)
    share = held / size
    among = np.arange(row + 1)
    left = held - among
    rest = np.where((left >= 0) & (left <= size - row), left, -1)
    weights = np.where(rest >= 0, _binomial(size - row, share, np.maximum(rest, 0)), 0.0)
    weights /= _binomial(size, share, np.array([held]))
    each = [_binomial(n, share, np.arange(n + 1)) for n in cells]
    below = np.empty(most + 1)
    for t in range(most + 1):
        sums = convolved([(chances[: t + 1], k) for chances, k in zip(each, many, strict=True)])
        below[t] = sums @ weights[: len(sums)]
    return 0, np.diff(np.minimum(below, 1.0), prepend=0.0)


def mean_rounded(counts: Sequence[Chances], times: float, over: int) -> float:
    """The mean of the next whole number of ``times / over`` of a product of numbers that do not
    depend on each other."""
    product, chance = np.ones(1), np.ones(1)
    for first, chances in counts:
        product = np.outer(product, first + np.arange(len(chances))).reshape(-1)
        chance = np.outer(chance, chances).reshape(-1)
    return float(np.ceil(product * times / over - 1e-9) @ chance)


def _binomial(places: int, share: float, held: NDArray[np.int64]) -> Reals:
    """Chances that so many places hold something, each by itself."""
    logs = log_factorial(np.array([places])) - log_factorial(held) - log_factorial(places - held)
    return np.asarray(np.exp(logs + held * np.log(share) + (places - held) * np.log1p(-share)))


def _log_at_most(x: Reals, mean: Reals, spread: Reals, half: float = 0.0) -> Reals:
    """Logarithm of the probability that each kind of count is x or less, an increasing row of
    numbers; -inf where it is certainly more.  half : 0.5 where normal counts are whole numbers."""
    fixed = (spread == 0) | (mean <= 0)
    scale = np.divide(spread**2, mean, out=np.ones_like(mean), where=~fixed)
    normal = ~fixed & (mean >= FEW * scale)
    if normal.all():
        return _normal(x + half, mean, spread)
    stepped = ~fixed & ~normal
    if stepped.all():
        return _stepped(x, mean, scale)
    found = np.empty((len(mean), len(x)))
    found[fixed] = np.where(x >= mean[fixed, None], 0.0, -np.inf)
    found[normal] = _normal(x + half, mean[normal], spread[normal])
    if stepped.any():
        found[stepped] = _stepped(x, mean[stepped], scale[stepped])
    return found


def _normal(x: Reals, mean: Reals, spread: Reals) -> Reals:
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):  # of what is certainly more, the logarithm of 0
        return np.asarray(np.log(ndtr((x - mean[:, None]) / spread[:, None])))


def _stepped(x: Reals, mean: Reals, scale: Reals) -> Reals:
    """Of Poisson counts of entries that are ``scale`` each, `FEW` at most on average."""
    entries = np.minimum(x / scale[:, None] + 1e-9, MANY).astype(np.intp)
    rates = (mean / scale)[:, None]
    numbers = np.arange(float(entries[:, -1].max()) + 1)
    chances = np.exp(numbers * np.log(rates) - rates - LOG_FACTORIALS[: len(numbers)])
    logs = np.log(np.minimum(chances.cumsum(axis=1), 1.0))
    entries += len(numbers) * np.arange(len(mean))[:, None]
    return np.asarray(logs.reshape(-1)[entries])
