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


def mean_of_maximum(mean: Reals, variance: Reals, full: Reals | None = None) -> Reals:
    """Mean of the largest of the counts along the last axis.

    Parameters
    ----------
    mean, variance : of each count, of one shape (..., n)
    full : what each count is at most, of the same shape

    Returns
    -------
    array of shape (...); 0 where n is 0

    Examples
    --------
    Of two standard normal numbers, 1/sqrt(pi); of what does not vary, the largest.

    >>> round(float(mean_of_maximum(np.full(2, 1e6), np.ones(2)) - 1e6), 3)
    0.564
    >>> float(mean_of_maximum(np.array([3.0, 5.0]), np.zeros(2)))
    5.0
    """
    n = mean.shape[-1]
    if not n:
        return np.zeros(mean.shape[:-1])
    full = np.full(mean.shape, np.inf) if full is None else full
    rows = np.concatenate([x.reshape(-1, n) for x in (mean, variance, full)], axis=1)
    each, where = np.unique(rows, axis=0, return_inverse=True)  # most steps are alike
    found = np.array([_largest(*row.reshape(3, n)) for row in each])
    return np.asarray(found[where.reshape(-1)].reshape(mean.shape[:-1]))


def _largest(mean: Reals, variance: Reals, full: Reals) -> float:
    """Mean of the largest of these counts."""
    spread = np.sqrt(np.maximum(variance, 0.0))
    if not spread.any():
        return float(mean.max())
    lowest = max(float((mean - REACH * spread).max()), 0.0)
    highest = float((mean + REACH * spread + (spread > 0)).max())
    x = np.linspace(lowest, highest, POINTS)
    kinds, many = np.unique(np.stack([mean, spread, full]), axis=1, return_counts=True)
    below = np.ones(POINTS)
    for (m, s, most), count in zip(kinds.T, many, strict=True):
        below *= np.where(x >= most, 1.0, _at_most(x, m, s)) ** count
    return lowest + float(np.trapezoid(1.0 - below, x))


def _at_most(x: Reals, mean: float, spread: float) -> Reals:
    """Probability that a count is x or less."""
    from scipy.special import ndtr, pdtr

    if not spread:
        return np.where(x >= mean, 1.0, 0.0)
    scale = spread**2 / mean if mean > 0 else 1.0
    if mean / scale >= FEW:
        return np.asarray(ndtr((x - mean) / spread))
    return np.asarray(pdtr(np.floor(x / scale + 1e-9), mean / scale))
