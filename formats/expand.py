"""Level arrays → coordinates of storage ranks, of axes, and the dense array.

It goes level by level from the root, with the position of each entry's fiber in hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from zeroskip.formats.arrange import flatten
from zeroskip.formats.codecs import decoded
from zeroskip.formats.fills import full
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import (
    Array,
    Indices,
    LevelData,
    check_room,
    mask_words,
)
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.formats.splits import (
    out_of_blocks,
    part_shape,
    whole_coordinates,
)


def expand(levels: Sequence[LevelData]) -> list[Indices]:
    """Storage coordinates of every entry of the last level, in storage order."""
    coords: list[Indices] = []
    for i, level in enumerate(levels):
        check_room((i + 1) * level.entries, 8, "the list of coordinates")
        parents, crd = level_coordinates(level)
        if parents is not None:
            coords = [above[parents] for above in coords]
        coords.append(crd)
    return coords


def level_coordinates(level: LevelData) -> tuple[Indices | None, Indices]:
    """(fiber, coordinate) of every entry of one level; None where fiber and entry are one."""
    arrays = level.arrays
    match level.spec:
        case Uncompressed():
            parents, crd = np.divmod(np.arange(level.entries, dtype=np.int64), max(level.extent, 1))
            return parents, crd
        case Singleton():
            return None, arrays["crd"].astype(np.int64)
        case Compressed():
            return _owners(arrays["pos"]), arrays["crd"].astype(np.int64)
        case Bitmask():
            width = 64 * mask_words(level.extent)
            octets = arrays["words"].astype("<u8").view(np.uint8)
            check_room(len(octets), 8, "the unpacked bitmask")
            bits = np.flatnonzero(np.unpackbits(octets, bitorder="little"))
            parents, crd = np.divmod(bits, max(width, 1))
            return parents, crd
        case Structured():
            place = np.arange(level.entries, dtype=np.int64)
            parents, crd = np.divmod(place, max(level.spec.entries(level.extent), 1))
            return parents, crd // level.spec.most * level.spec.group + arrays["offset"]
        case RunLength():
            pos = arrays["pos"]
            parents = _owners(pos)
            ends = np.zeros(level.entries + 1, dtype=np.int64)
            np.cumsum(arrays["run"].astype(np.int64) + 1, out=ends[1:])
            return parents, ends[1:] - ends[pos[parents]] - 1


def _owners(pos: Indices) -> Indices:
    """The fiber of each position."""
    return np.repeat(np.arange(len(pos) - 1, dtype=np.int64), np.diff(pos))


def axis_coordinates(
    stored: Sequence[Indices], shape: Sequence[int], bound: Format
) -> list[Indices]:
    """Coordinates of storage ranks → coordinates of axes."""
    coords: dict[int, Indices] = {}
    sizes = part_shape(shape, bound)
    for flat, axes in zip(stored, bound.order, strict=True):
        for axis in axes[:0:-1]:
            flat, coords[axis] = np.divmod(flat, max(sizes[axis], 1))
        coords[axes[0]] = flat
    return whole_coordinates([coords[part] for part in range(len(sizes))], bound)


def densify(
    levels: Sequence[LevelData],
    values: Array,
    shape: Sequence[int],
    bound: Format,
    fill: Any = 0,
) -> Array:
    """The dense array, C-contiguous, of the tensor's shape; what is not stored is the fill."""
    if (quick := decoded(levels, values, shape, bound, fill)) is not None:
        return quick
    if bound.split and not all(level.spec.full for level in levels):
        return _out_of_parts(levels, values, shape, bound, fill)
    sizes = part_shape(shape, bound)
    size = prod(sizes)
    check_room(size, values.dtype.itemsize, "the dense array")
    order = [axis for axes in bound.order for axis in axes]
    if all(level.spec.full for level in levels):
        flat = values
    else:
        flat = full(size, values.dtype.type(fill))
        flat[flatten(expand(levels), [level.extent for level in levels])] = values
    back = np.argsort(order)
    turned = flat.reshape([sizes[part] for part in order]).transpose(back)
    parts = np.array(turned, order="C", copy=True if flat is values else None)
    return out_of_blocks(parts, shape, bound)


def _out_of_parts(
    levels: Sequence[LevelData], values: Array, shape: Sequence[int], bound: Format, fill: Any
) -> Array:
    """The dense array of a split format, whose blocks may go on far past it."""
    check_room(prod(shape), values.dtype.itemsize, "the dense array")
    array = full(prod(shape), values.dtype.type(fill))
    coords = axis_coordinates(expand(levels), shape, bound)
    inside = np.logical_and.reduce([crd < n for crd, n in zip(coords, shape, strict=True)])
    array[flatten([crd[inside] for crd in coords], shape)] = values[inside]
    return array.reshape(shape)
