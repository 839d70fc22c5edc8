"""Arrays that kernels read in vectors: each begins a cache line, so that no vector lies in two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE_BYTES = 64

IN_PARTS = "Compute it in parts, or free memory first."
"""What to do where there is no room for scratch."""


def aligned_zeros(elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As ``np.zeros(elements, dtype)``, which promises 16 bytes only; shape (elements,)."""
    return _aligned(np.zeros(elements * dtype.itemsize + LINE_BYTES, np.uint8), elements, dtype)


def aligned_empty(elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As `aligned_zeros`, with anything in it."""
    return _aligned(np.empty(elements * dtype.itemsize + LINE_BYTES, np.uint8), elements, dtype)


def _aligned(raw: NDArray[Any], elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What begins at the first whole line of ``raw``; of no elements, an array by itself."""
    if not elements:
        return np.zeros(0, dtype)
    start = -raw.ctypes.data % LINE_BYTES
    return raw[start : start + elements * dtype.itemsize].view(dtype)
