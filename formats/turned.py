"""Dense arrays with their axes in another order, copied fast where that swaps two runs of axes.

What is handed in (`provided`) does it in C, a block of rows and columns at a time; NumPy goes
along one of the two and takes a line of memory for each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from zeroskip.formats.level_data import Array
from zeroskip.formats.provided import codecs

MIN_SIZE = 2**15
"""Arrays of fewer elements are copied by NumPy."""


def in_order(array: Array, order: Sequence[int]) -> Array:
    """The elements with the axes in that order, row-major; a view where they lie so already."""
    if array.size >= MIN_SIZE and array.flags.c_contiguous and array.flags.aligned:
        found = swapped(array.shape, order)
        if found is not None and (fast := codecs(array.size)) is not None:
            turned: Array | None = fast.turn(array.reshape(-1), *found)
            if turned is not None:
                return turned
    return np.ascontiguousarray(array.transpose(order)).reshape(-1)


def swapped(shape: Sequence[int], order: Sequence[int]) -> tuple[int, int, int] | None:
    """How many matrices, of how many rows and columns, are stored by columns when the axes come in
    that order; None where they do not swap two runs of axes, behind some that stay, of which each
    is longer than 1."""
    kept = [axis for axis in order if shape[axis] != 1]
    axes = sorted(kept)
    stay = next((k for k, axis in enumerate(axes) if kept[k] != axis), len(axes))
    moved, turned = axes[stay:], kept[stay:]
    for k in range(1, len(moved)):
        if moved[k:] + moved[:k] == turned:
            count, rows, columns = (
                prod(shape[axis] for axis in of) for of in (axes[:stay], moved[:k], moved[k:])
            )
            return count, rows, columns
    return None
