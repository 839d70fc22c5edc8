"""The fill of a tensor: the value of what is not stored.

A fill is a scalar of the values' type.  NaN is equal to itself here, and -0.0 is 0.0: of a
dense array everything that differs from the fill is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.values import is_masked

if TYPE_CHECKING:
    from zeroskip.formats.level_data import Array


def read_fill(given: object, dtype: np.dtype[Any]) -> Any:
    """A fill of type ``dtype``; refuses what the type has no value for.

    A number between two floats is rounded to the nearer, as NumPy does.
    """
    if type(given) is int and not given:
        return dtype.type(0)
    try:
        found = np.asarray(given)
    except (ValueError, TypeError):
        found = np.zeros(1)
    if found.ndim or found.dtype.kind not in "biufV" or is_masked(given):
        raise TensorError(f"a fill is one number, such as 0 or inf; found {given!r}")
    with np.errstate(all="ignore"):
        fill = found.astype(dtype)[()]
        exact = is_nan(fill) == is_nan(found) and (is_nan(fill) or fill == found)
        if dtype.kind in "fV" and not exact:  # the nearest float, unless it is out of range
            exact = bool(np.isfinite(fill) == np.isfinite(found) and not is_nan(fill))
    if not exact:
        raise TensorError(
            f"the fill {given} has no value in {dtype}\n"
            "Give the tensor a type that holds it: dtype='float32'."
        )
    return clean(fill)


def clean(fill: Any) -> Any:
    """-0.0 becomes 0.0."""
    return fill if fill else fill.dtype.type(0)


def is_nan(value: Any) -> bool:
    return bool(value != value)


def differs(values: Array, fill: Any) -> Array:
    """Which values are not the fill, as bool."""
    return np.asarray(values == values if is_nan(fill) else values != fill)


def places(values: Array, fill: Any) -> Array:
    """Where a 1-D array differs from the fill, in order."""
    return np.flatnonzero(values if not fill else differs(values, fill))


def count(values: Array, fill: Any) -> int:
    """How many values differ from the fill."""
    return int(np.count_nonzero(values if not fill else differs(values, fill)))


def same(a: Any, b: Any) -> bool:
    """Whether two fills are one: of one type, and equal or both NaN."""
    return bool(a.dtype == b.dtype and (a == b or (is_nan(a) and is_nan(b))))


def full(length: int, fill: Any) -> Array:
    """``length`` fills; fresh pages of zeros where the fill is 0."""
    return np.zeros(length, fill.dtype) if not fill else np.full(length, fill)
