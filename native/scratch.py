"""Arrays that kernels read in vectors: each begins a cache line, so that no vector lies in two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE_BYTES = 64


def aligned_zeros(elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As ``np.zeros(elements, dtype)``, which promises 16 bytes only; shape (elements,)."""
    if not elements:
        return np.zeros(0, dtype)
    size = elements * dtype.itemsize
    raw = np.zeros(size + LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % LINE_BYTES
    return raw[start : start + size].view(dtype)
