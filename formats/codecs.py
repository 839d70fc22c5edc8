"""Fast encoding and decoding of large arrays, where the package has handed it in.

What encodes faster is handed in (`provided`); NumPy answers for all others, with the same bits.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from zeroskip.formats.arrange import flattened
from zeroskip.formats.build import full_levels
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import Array, LevelData, freeze, storage_extents
from zeroskip.formats.levels import Bitmask, Compressed, Uncompressed
from zeroskip.formats.provided import codecs

MIN_SIZE = 2**13
"""Arrays of fewer elements are encoded and decoded in NumPy."""


def serves(bound: Format, size: int) -> bool:
    """Whether a format is U above and C or B below, and an array of ``size`` is large."""
    levels = bound.levels
    return (
        size >= MIN_SIZE
        and not bound.split
        and bool(levels)
        and isinstance(levels[-1], Compressed | Bitmask)
        and all(isinstance(level, Uncompressed) for level in levels[:-1])
    )


def encoded(array: Array, bound: Format, fill: Any) -> tuple[tuple[LevelData, ...], Array] | None:
    """Levels and values of a dense array; None where NumPy has to make them."""
    if not serves(bound, array.size) or (found := codecs(array.size)) is None:
        return None
    extents = storage_extents(array.shape, bound)
    fibers, spec = prod(extents[:-1]), bound.levels[-1]
    flat = np.require(flattened(array, bound, fill), requirements=["C", "A"])
    made = found.encode(flat, spec, fibers, extents[-1], fill)
    if made is None:
        return None
    arrays, values = made
    above = full_levels(array.shape, bound)[:-1]
    frozen = {name: freeze(held) for name, held in arrays.items()}
    last = LevelData(spec, extents[-1], bound.order[-1], fibers, len(values), frozen)
    return (*above, last), freeze(values)


def decoded(
    levels: tuple[LevelData, ...], values: Array, bound: Format, flat: Array, fill: Any
) -> bool:
    """Whether the values and the fill were written to ``flat``, which may have held anything."""
    if not serves(bound, len(flat)) or (found := codecs(len(flat))) is None:
        return False
    return bool(found.decode(levels[-1], values, flat, fill))
