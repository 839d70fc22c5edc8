"""NumPy: its BLAS, and what it copies."""

from __future__ import annotations

import numpy as np

from benchmarks.contest import Array, Entrant

FAMILY = "best dense"


def matmul(a: Array, b: Array) -> Entrant:
    """``a @ b``, the result allocated at each call as everybody's is."""
    return Entrant("NumPy (BLAS)", FAMILY, lambda: np.matmul(a, b))


def linear(weights: Array, batch: Array) -> Entrant:
    """Each row of a batch times the weights."""
    return Entrant("NumPy (BLAS)", FAMILY, lambda: batch @ weights.T)


def copy(array: Array) -> Entrant:
    """What memory allows: one copy into a place that is there already."""
    target = np.empty_like(array)

    def call() -> Array:
        np.copyto(target, array)
        return target

    return Entrant("memcpy", "memcpy", call)
