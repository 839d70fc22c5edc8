"""Symmetric matrices of which a file holds one half."""

from __future__ import annotations

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.level_data import Array, Indices


def mirrored(
    row: Indices, column: Indices, values: Array, sign: int
) -> tuple[list[Indices], Array]:
    """Coordinates and values of both halves.

    sign : of the entries in the other half; -1 of a skew-symmetric matrix.

    Raises `TensorError` for entries on both sides of the diagonal, and where no value of the
    type is the negative of another.
    """
    if bool((row < column).any()) and bool((row > column).any()):
        raise TensorError(
            "a file that says it is symmetric has entries above and below the diagonal; expected "
            "those of one half"
        )
    if sign < 0 and values.dtype.kind in "ub":
        raise TensorError(f"a skew-symmetric matrix has negative values, and {values.dtype} none")
    off = row != column
    other = np.negative(values[off]) if sign < 0 else values[off]
    coords = [np.append(row, column[off]), np.append(column, row[off])]
    return coords, np.append(values, other)
