"""The mean of a maximum, from the mean and the variance of each count.

    E[max] = lowest + integral of 1 - product of F_i(x) over x from lowest on

F_i is that of a scaled Poisson count where few entries are expected, else of a normal one; both
have the mean and the variance that are given.  Counts are taken as independent: what they have in
common is to be left out of the variances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

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


def _log_at_most(x: Reals, mean: Reals, spread: Reals) -> Reals:
    """Logarithm of the probability that each kind of count is x or less, an increasing row of
    numbers; -inf where it is certainly more."""
    fixed = (spread == 0) | (mean <= 0)
    scale = np.divide(spread**2, mean, out=np.ones_like(mean), where=~fixed)
    normal = ~fixed & (mean >= FEW * scale)
    if normal.all():
        return _normal(x, mean, spread)
    stepped = ~fixed & ~normal
    if stepped.all():
        return _stepped(x, mean, scale)
    found = np.empty((len(mean), len(x)))
    found[fixed] = np.where(x >= mean[fixed, None], 0.0, -np.inf)
    found[normal] = _normal(x, mean[normal], spread[normal])
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
