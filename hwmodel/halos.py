"""Halos: which places of a tile were in the tile of the iteration before.

    I[c,p+r] by blocks of p:      block 0 reaches h = 0 1 2 3 4
                                  block 1 reaches h =     2 3 4 5 6       of which 2 3 4 were there

Only a loop of ranks that no axes are by themselves has such places: then windows of its iterations
may reach over each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.boxes import groups
from zeroskip.hwmodel.indices import names_places
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.subscript_values import points_of, values_of

MOST_ENUMERATED = 2**20
"""Points of a window that are tried one by one.  A larger one is counted as one that may reach over
itself, by more lines and to the same figures: they find no place that was there."""


def moves_over_itself(
    operand: Operand, moving: Loop | None, keys: Sequence[Loop], extents: Mapping[str, int]
) -> bool:
    """Whether a tile has places of the one before.

    moving : the innermost loop at which the tile changes; None for a tile that never does.
    keys : the loops that name a tile and its place in the array, ``moving`` among them.
    """
    if moving is None:
        return False
    for axes in groups(operand.subscripts, keys):
        held = {v for axis in axes for v in variables(operand.subscripts[axis])}
        if moving.of(held):
            break
    if moving.within({single(operand.subscripts[axis]) or "" for axis in axes}):
        return False
    if any(names_places(operand.subscripts[axis]) for axis in axes):
        return True  # it may: data says where
    mine = [loop for loop in keys if loop.of(held)]
    ranks = sorted(held.union(*(loop.ranks for loop in mine)))
    if prod(extents[rank] for rank in ranks) > MOST_ENUMERATED:
        return True
    at = points_of(ranks, extents)
    others = [loop.at(at) for loop in mine if loop != moving]
    places = [values_of(operand.subscripts[axis], at) for axis in axes]
    turn = moving.at(at)
    place = np.zeros_like(turn)
    for row in (*others, *places):  # numbered anew for each: no product of extents overflows
        row = row - row.min(initial=0)
        place = np.unique(place * (row.max(initial=0) + 1) + row, return_inverse=True)[1]
    tiles = np.unique(place * (turn.max(initial=0) + 2) + turn)
    return bool(np.isin(tiles + 1, tiles, assume_unique=True).any())
