"""Fast encoding and decoding of large arrays, where the package has handed it in.

What encodes faster is handed in (`provided`); NumPy answers for all others, with the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from zeroskip.formats.arrange import flattened
from zeroskip.formats.build import full_levels
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import Array, LevelData, check_room, freeze
from zeroskip.formats.levels import Bitmask, Compressed, Uncompressed
from zeroskip.formats.provided import codecs
from zeroskip.formats.turned import swapped
from zeroskip.records import dataclass

MIN_SIZE = 2**13
"""Arrays of fewer elements are encoded and decoded in NumPy."""

PAGE_BYTES = 4096
"""Of a page of memory: an array with fewer values than pages is made of zeros all at once, and its
values are put in, so that pages without one are never touched; one with more row by row, so that
what is filled is still near when values come to it."""

LONGEST = 2**18
"""Fibers along an outer axis up to which a few are turned at a time, before they are encoded; of
longer ones not even these stay in a cache, and all are turned before."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a format with U above and C or B below comes to for arrays of one shape.

    above : the levels but the last.  last : that one without arrays and of no entries.
    order : the axes in storage order; None where that is their own order.
    columns : where the fibers are the columns of matrices, how many each has; else 0.
    """

    above: tuple[LevelData, ...]
    last: LevelData
    order: tuple[int, ...] | None
    columns: int


@lru_cache(maxsize=1024)
def plan(shape: tuple[int, ...], bound: Format) -> Plan | None:
    """None where the format is another, which NumPy serves."""
    levels = bound.levels
    if bound.split or not levels or not isinstance(levels[-1], Compressed | Bitmask):
        return None
    if not all(isinstance(level, Uncompressed) for level in levels[:-1]):
        return None
    *above, full = full_levels(shape, bound)
    last = LevelData(levels[-1], full.extent, full.axes, full.fibers, 0, {})
    order = tuple(axis for axes in bound.order for axis in axes)
    if order == tuple(range(len(order))):
        return Plan(tuple(above), last, None, 0)
    _, rows, columns = swapped(shape, order) or (0, 0, 0)
    turned = rows == full.extent <= LONGEST
    return Plan(tuple(above), last, order, columns if turned else 0)


def encoded(array: Array, bound: Format, fill: Any) -> tuple[tuple[LevelData, ...], Array] | None:
    """Levels and values of a dense array; None where NumPy has to make them."""
    if array.size < MIN_SIZE or (planned := plan(array.shape, bound)) is None:
        return None
    if (found := codecs(array.size)) is None:
        return None
    last, columns = planned.last, planned.columns
    lies = array.flags.c_contiguous and array.flags.aligned
    if lies and (planned.order is None or columns):
        flat = array.reshape(-1)
    else:
        flat, columns = np.require(flattened(array, bound, fill), requirements=["C", "A"]), 0
    made = found.encode(flat, last.spec, last.fibers, last.extent, fill, columns)
    if made is None:
        return None
    arrays, values = made
    frozen = {name: freeze(held) for name, held in arrays.items()}
    last = LevelData(last.spec, last.extent, last.axes, last.fibers, len(values), frozen)
    return (*planned.above, last), freeze(values)


def decoded(
    levels: Sequence[LevelData], values: Array, shape: Sequence[int], bound: Format, fill: Any
) -> Array | None:
    """The dense array, C-contiguous; None where NumPy has to make it."""
    size = prod(shape)
    if size < MIN_SIZE or (planned := plan(tuple(shape), bound)) is None:
        return None
    if (found := codecs(size)) is None:
        return None
    held, typed = values.dtype, values.dtype.type(fill)
    check_room(size, held.itemsize, "the dense array")
    last = levels[-1]
    few = not typed and isinstance(last.spec, Compressed)
    few = few and len(values) * PAGE_BYTES < size * held.itemsize
    flat = np.zeros(size, held) if few else found.empty(size, held)
    if not found.decode(last, values, flat, typed, few):
        return None
    if planned.order is None:
        return flat.reshape(shape)
    turned = flat.reshape([shape[axis] for axis in planned.order])
    return np.ascontiguousarray(turned.transpose(np.argsort(planned.order)))
