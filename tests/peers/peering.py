"""What the shims over public suites share: cases left out, results compared."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest
from not_applicable import REASONS

import zeroskip as zs

NOT_APPLICABLE = "not applicable: "
"""How the reason of a skipped case begins; ``make peers`` allows no other skip."""

TOLERANCE = {"float64": 1e-10, "float32": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}
"""Error allowed, of the largest magnitude that a sum of magnitudes has."""


def leave_out(suite: str, case: str) -> None:
    """Skip a case of the committed list."""
    for pattern, reason in REASONS[suite].items():
        if fnmatchcase(case, pattern):
            pytest.skip(NOT_APPLICABLE + reason)


def thorough() -> bool:
    """Whether this is ``make peers``, and not the tests that everybody runs."""
    return "ZEROSKIP_PEERS" in os.environ


def dense(result: Any) -> np.ndarray:
    """A result as an array."""
    return result.toarray() if isinstance(result, zs.Tensor) else np.asarray(result)


def agree(found: Any, expected: Any, scale: float = 1.0) -> None:
    """Shapes are equal, and so are values: to the bit for whole numbers, else within rounding."""
    found, expected = dense(found), np.asarray(expected)
    assert found.shape == expected.shape
    if found.dtype.name not in TOLERANCE:
        assert np.array_equal(found, expected)
        return
    atol = TOLERANCE[found.dtype.name] * max(scale, 1.0)
    wide = found.astype(np.float64)
    assert np.allclose(wide, expected.astype(np.float64), rtol=0, atol=atol, equal_nan=True)
