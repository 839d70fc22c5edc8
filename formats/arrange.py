"""Coordinates of axes, or a dense array → sorted, unique coordinates of storage ranks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.fills import full, places
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import (
    MAX_POSITIONS,
    Array,
    Indices,
    check_room,
    storage_extents,
)
from zeroskip.formats.splits import (
    in_blocks,
    part_coordinates,
    part_shape,
)
from zeroskip.formats.turned import in_order
from zeroskip.formats.values import added

SMALLER = "Take smaller blocks."


def arrange(
    coords: Sequence[Indices], values: Array, shape: Sequence[int], bound: Format, fill: Any = 0
) -> tuple[list[Indices], Array]:
    """Storage coordinates in storage order, each once, and the values that go with them.

    coords : one array of coordinates an axis, in range, in any order.  Values of equal
        coordinates are added up (or-ed, for bool); refused where the fill is not 0, as a
        missing value is then no empty sum.
    """
    extents = storage_extents(shape, bound)
    parts, sizes = part_coordinates(coords, bound), part_shape(shape, bound)
    stored = [flatten([parts[a] for a in axes], [sizes[a] for a in axes]) for axes in bound.order]
    if not stored:
        if len(values) > 1 and fill:
            raise _repeated((), fill)
        empty = full(1, values.dtype.type(fill))
        return [], added(values, np.zeros(1, np.int64)) if len(values) else empty
    size = 1
    for extent in extents:
        size *= extent
    if size <= MAX_POSITIONS:
        key = flatten(stored, extents)
        if bool((key[1:] > key[:-1]).all()):
            return stored, values
        permutation = storage_order([key], [size])
    else:
        permutation = storage_order(stored, extents)
    stored = [crd[permutation] for crd in stored]
    values = values[permutation]
    new = np.ones(len(values), dtype=bool)
    if len(values) > 1:
        new[1:] = np.logical_or.reduce([crd[1:] != crd[:-1] for crd in stored])
    if not new.all():
        if fill:
            again = permutation[np.flatnonzero(~new)[0]]
            raise _repeated(tuple(int(crd[again]) for crd in coords), fill)
        starts = np.flatnonzero(new)
        stored = [crd[starts] for crd in stored]
        values = added(values, starts)
    return stored, values


def storage_order(coords: Sequence[Indices], extents: Sequence[int]) -> Indices:
    """The stable permutation that sorts coordinates, outermost first, in linear time.

    A radix sort, 16 bits a pass: NumPy's stable sort of uint16 counts instead of comparing.
    """
    order: Indices = np.arange(len(coords[0]), dtype=np.int64)
    for crd, extent in zip(coords[::-1], extents[::-1], strict=True):
        for shift in range(0, max(extent - 1, 0).bit_length(), 16):
            digits = ((crd[order] >> shift) & 0xFFFF).astype(np.uint16)
            order = order[np.argsort(digits, kind="stable")]
    return order


def _repeated(at: tuple[int, ...], fill: Any) -> TensorError:
    return TensorError(
        f"coordinate {at} is given twice, and with fill {fill} values of equal coordinates have "
        "no sum\nGive each coordinate once."
    )


def flatten(coords: Sequence[Indices], extents: Sequence[int]) -> Indices:
    """Row-major position of each coordinate in a box of ``extents``."""
    flat = coords[0]
    for crd, extent in zip(coords[1:], extents[1:], strict=True):
        flat = flat * extent + crd
    return flat


def unflatten(at: Indices, extents: Sequence[int]) -> list[Indices]:
    """Coordinates in a box of ``extents`` of row-major positions."""
    coords: list[Indices] = []
    for extent in reversed(extents[1:]):
        at, crd = np.divmod(at, max(extent, 1))
        coords.append(crd)
    if extents:
        coords.append(at)
    return coords[::-1]


def flattened(array: Array, bound: Format, fill: Any) -> Array:
    """The values of a dense array in storage order, filled up to whole blocks."""
    order = [part for parts in bound.order for part in parts]
    if bound.split:
        items = 2 * prod(part_shape(array.shape, bound))
        check_room(items, array.itemsize, "the blocks and their copy in storage order", SMALLER)
    return in_order(in_blocks(array, bound, fill), order)


def entries_of(array: Array, bound: Format, fill: Any) -> tuple[list[Indices], Array]:
    """Storage coordinates and values of what is not the fill in a dense array, in storage order.

    NaN is not zero; -0.0 is.
    """
    extents = storage_extents(array.shape, bound)
    if bound.split:  # blocks are not filled up first, as they may be far larger than the array
        flat = array.reshape(-1)
        at = places(flat, fill)
        return arrange(unflatten(at, array.shape), flat[at], array.shape, bound, fill)
    flat = flattened(array, bound, fill)
    at = places(flat, fill)
    return unflatten(at, extents), flat[at]
