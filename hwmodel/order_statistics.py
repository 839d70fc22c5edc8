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

POINTS = 257
REACH = 8.0
"""Points of the integral, and the standard deviations that it reaches beyond the largest mean."""


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
    x = np.linspace(lowest, highest, POINTS)
    below = np.ones(POINTS)
    for k, (m, s) in enumerate(zip(mean.tolist(), spread.tolist(), strict=True)):
        chance = _at_most(x, m, s)
        if full is not None:
            chance[x >= full[k]] = 1.0
        below *= chance if many is None or many[k] == 1 else chance ** many[k]
    return lowest + float(np.trapezoid(1.0 - below, x))


def _at_most(x: Reals, mean: float, spread: float) -> Reals:
    """Probability that a count is x or less."""
    from scipy.special import ndtr, pdtr

    if not spread:
        return np.where(x >= mean, 1.0, 0.0)
    scale = spread**2 / mean if mean > 0 else 1.0
    if mean / scale >= FEW:
        return np.asarray(ndtr((x - mean) / spread))
    entries = np.floor(x / scale + 1e-9).astype(np.int64)
    most = int(entries[-1])
    if most >= len(x):
        return np.asarray(pdtr(entries.astype(np.float64), mean / scale))
    return np.asarray(pdtr(np.arange(most + 1.0), mean / scale)[entries])
