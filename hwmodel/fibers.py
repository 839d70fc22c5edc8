"""A matrix as fibers: the entries of each row, where a layer's operand is one.

What units and caches go through is fibers, on real coordinates; see `zeroskip.hwmodel.units` and
`zeroskip.hwmodel.caches`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.native import routines

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fibers:
    """Fiber f has ``coordinates[positions[f]:positions[f + 1]]``, in order, below ``extent``."""

    positions: Whole
    coordinates: Whole
    extent: int

    @property
    def entries(self) -> Whole:
        """Of each fiber."""
        return np.diff(self.positions)

    def fiber(self, number: int) -> list[int]:
        """Coordinates of one."""
        held = self.coordinates[self.positions[number] : self.positions[number + 1]]
        return [int(coordinate) for coordinate in held]

    def __len__(self) -> int:
        return len(self.positions) - 1


def fibers_of(fiber: Whole, coordinate: Whole, count: int, extent: int) -> Fibers:
    """Entries at these fibers and coordinates, each place once, sorted."""
    if (
        len(fiber)
        and (np.diff(fiber) < 0).any() | ((np.diff(fiber) == 0) & (np.diff(coordinate) < 0)).any()
    ):
        order = np.lexsort((coordinate, fiber))
        fiber, coordinate = fiber[order], coordinate[order]
    positions = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(fiber, minlength=count), out=positions[1:])
    return Fibers(positions, np.ascontiguousarray(coordinate, np.int64), extent)


def reached_by_row(left: Fibers, right: Fibers) -> Whole:
    """Places of each row that the product of two matrices by rows reaches (c/zs_structure.c)."""
    reached = np.zeros(len(left), np.int64)
    given = [left.positions, left.coordinates, right.positions, right.coordinates]
    buffers = [*given, reached, np.empty(right.extent, np.int64)]
    dims = [len(left), right.extent]
    if not routines.run("zeroskip.hwmodel", "zs_structure.c", "zs_product_rows", buffers, dims):
        for m in range(len(left)):
            reached[m] = len({n for k in left.fiber(m) for n in right.fiber(k)})
    return reached
