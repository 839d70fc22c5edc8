"""The mean of a maximum, from the mean and the variance of each count.

    E[max] = lowest + integral of 1 - product of F_i(x) over x from lowest on

F_i is that of a scaled Poisson count where few entries are expected, else of a normal one; both
have the mean and the variance that are given.  Counts are taken as independent: what they have in
common is to be left out of the variances.
"""

from __future__ import annotations

from typing import Any

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
    if not mean.shape[-1]:
        return np.zeros(mean.shape[:-1])
    spread = np.sqrt(np.maximum(variance, 0.0))
    most = mean.max(axis=-1)
    if not spread.any():
        return np.asarray(most)
    lowest = np.maximum((mean - REACH * spread).max(axis=-1), 0.0)
    highest = (mean + REACH * spread + np.where(spread > 0, 1.0, 0.0)).max(axis=-1)
    share = np.linspace(0.0, 1.0, POINTS)
    x = lowest[..., None] + (highest - lowest)[..., None] * share
    below = np.ones(x.shape)
    for i in range(mean.shape[-1]):
        chance = _at_most(x, mean[..., i : i + 1], spread[..., i : i + 1])
        below *= chance if full is None else np.where(x >= full[..., i : i + 1], 1.0, chance)
    return np.asarray(lowest + np.trapezoid(1.0 - below, x, axis=-1))


def _at_most(x: Reals, mean: Reals, spread: Reals) -> Reals:
    """Probability that a count is x or less."""
    from scipy.special import ndtr, pdtr

    varies = spread > 0
    scale = np.where(varies & (mean > 0), spread**2 / np.maximum(mean, 1e-300), 1.0)
    entries = mean / scale
    sharp = np.where(x >= mean, 1.0, 0.0)
    normal = ndtr((x - mean) / np.where(varies, spread, 1.0))
    few: Any = pdtr(np.floor(x / scale + 1e-9), np.minimum(entries, FEW))
    return np.asarray(np.where(varies, np.where(entries < FEW, few, normal), sharp))
