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
    size = prod(extents)
    key = flatten(stored, extents) if size <= MAX_POSITIONS else None
    if key is not None and bool((key[1:] > key[:-1]).all()):
        return stored, values
    permutation = storage_order(stored, extents)
    stored = [crd[permutation] for crd in stored]
    values = values[permutation]
    distinct = stored if key is None else [key[permutation]]
    new = np.ones(len(values), dtype=bool)
    if len(values) > 1:
        new[1:] = np.logical_or.reduce([crd[1:] != crd[:-1] for crd in distinct])
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
    Innermost ranks in whose order the coordinates come take no pass: what is stored by rows is
    put into columns by its columns alone.
    """
    order: Indices | None = None
    for key, extent in _keys(coords, extents):
        for shift in range(0, max(extent - 1, 0).bit_length(), 16):
            digits = (key >> shift if shift else key).astype(np.uint16)  # the lowest 16 bits
            if order is None:
                order = np.argsort(digits, kind="stable")
            else:
                order = order[np.argsort(digits[order], kind="stable")]
    return np.arange(len(coords[0]), dtype=np.int64) if order is None else order


def _keys(coords: Sequence[Indices], extents: Sequence[int]) -> list[tuple[Indices, int]]:
    """What is left to sort by, innermost first, each with its extent; several ranks are one
    where their places together can be numbered."""
    left, key, places = len(coords), coords[-1], 1
    for rank in range(len(coords) - 1, -1, -1):
        if places * extents[rank] > MAX_POSITIONS:
            break
        key = coords[rank] * places + key if places > 1 else coords[rank]
        places *= extents[rank]
        if (key[1:] >= key[:-1]).all():
            left = rank  # these ranks and those inside come in order
    keys: list[tuple[Indices, int]] = []
    for crd, extent in zip(coords[:left][::-1], extents[:left][::-1], strict=True):
        if keys and extent * keys[-1][1] <= MAX_POSITIONS:
            inner, size = keys.pop()
            keys.append((crd * size + inner, extent * size))
        else:
            keys.append((crd, extent))
    return keys


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
