"""Coordinates → level arrays, and level arrays → coordinates.

Both go level by level from the root with one thing in hand: the position that each entry
has at the level above.
"""

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
    LevelData,
    check_room,
    freeze,
    index_dtype,
    mask_words,
    storage_extents,
)
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.formats.splits import (
    in_blocks,
    out_of_blocks,
    part_coordinates,
    part_shape,
    whole_coordinates,
)
from zeroskip.formats.structured import structured
from zeroskip.formats.values import added

SMALLER = "Take smaller blocks."

# ---- coordinates of axes → sorted, unique coordinates of storage ranks --------------------


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
    stored = [_flatten([parts[a] for a in axes], [sizes[a] for a in axes]) for axes in bound.order]
    if not stored:
        if len(values) > 1 and fill:
            raise _repeated((), fill)
        empty = full(1, values.dtype.type(fill))
        return [], added(values, np.zeros(1, np.int64)) if len(values) else empty
    size = 1
    for extent in extents:
        size *= extent
    if size <= MAX_POSITIONS:
        key = _flatten(stored, extents)
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


def _flatten(coords: Sequence[Indices], extents: Sequence[int]) -> Indices:
    """Row-major position of each coordinate in a box of ``extents``."""
    flat = coords[0]
    for crd, extent in zip(coords[1:], extents[1:], strict=True):
        flat = flat * extent + crd
    return flat


def _unflatten(at: Indices, extents: Sequence[int]) -> list[Indices]:
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
    return in_blocks(array, bound, fill).transpose(order).reshape(-1)


def entries_of(array: Array, bound: Format, fill: Any) -> tuple[list[Indices], Array]:
    """Storage coordinates and values of what is not the fill in a dense array, in storage order.

    NaN is not zero; -0.0 is.
    """
    extents = storage_extents(array.shape, bound)
    if bound.split:  # blocks are not filled up first, as they may be far larger than the array
        flat = array.reshape(-1)
        at = places(flat, fill)
        return arrange(_unflatten(at, array.shape), flat[at], array.shape, bound, fill)
    flat = flattened(array, bound, fill)
    at = places(flat, fill)
    return _unflatten(at, extents), flat[at]


# ---- storage coordinates → levels -----------------------------------------------------------


def build(
    coords: Sequence[Indices], values: Array, shape: Sequence[int], bound: Format, fill: Any = 0
) -> tuple[tuple[LevelData, ...], Array]:
    """Levels and the value array of elements at sorted, unique storage coordinates.

    What only fills a place (bridges, the rest of a U level) gets the fill.
    """
    extents = storage_extents(shape, bound)
    parents: Indices = np.zeros(len(values), dtype=np.int64)
    fibers = 1
    levels: list[LevelData] = []
    heads = _heads(coords, bound)
    for i, (rank, axes) in enumerate(zip(bound.ranks, bound.order, strict=True)):
        entries, arrays, parents = _level(
            rank.level, extents[i], fibers, coords[i], parents, heads[i], f"rank {i} ({rank})"
        )
        frozen = {name: freeze(array) for name, array in arrays.items()}
        levels.append(LevelData(rank.level, extents[i], axes, fibers, entries, frozen))
        fibers = entries
    if len(values) == fibers:
        return tuple(levels), freeze(np.array(values))
    check_room(fibers, values.dtype.itemsize, "the value array")
    placed = full(fibers, values.dtype.type(fill))
    placed[parents] = values
    return tuple(levels), freeze(placed)


def full_levels(shape: Sequence[int], bound: Format) -> tuple[LevelData, ...]:
    """The levels of a format in which every rank is U."""
    levels: list[LevelData] = []
    fibers = 1
    extents = storage_extents(shape, bound)
    for rank, axes, extent in zip(bound.ranks, bound.order, extents, strict=True):
        levels.append(LevelData(rank.level, extent, axes, fibers, fibers * extent, {}))
        fibers *= extent
    return tuple(levels)


def _heads(coords: Sequence[Indices], bound: Format) -> list[Array | None]:
    """For each rank, which elements are the first of an entry there; None where all are.

    An entry of a C above S is told apart by the coordinates of the S below it too.
    """
    first: list[Array] = []
    for crd in coords:
        new = np.ones(len(crd), dtype=bool)
        if len(crd):
            new[1:] = crd[1:] != crd[:-1]
            if first:
                new |= first[-1]
        first.append(new)
    for i in range(len(first) - 2, -1, -1):
        if not bound.unique(i):
            first[i] = first[i + 1]
    return [None if new.all() else new for new in first]


def _level(
    spec: LevelFormat,
    extent: int,
    fibers: int,
    coords: Indices,
    parents: Indices,
    heads: Array | None,
    where: str,
) -> tuple[int, dict[str, Array], Indices]:
    """(entries, arrays, each element's position) of one level."""
    if isinstance(spec, Uncompressed):
        if fibers * extent > MAX_POSITIONS:
            raise TensorError(
                f"{where} would have {fibers * extent} positions, more than {MAX_POSITIONS}\n"
                "Store the long ranks as C, so that only their entries take room."
            )
        return fibers * extent, {}, parents * extent + coords
    if heads is None:
        group: Indices = np.arange(len(coords), dtype=np.int64)
    else:
        group = np.cumsum(heads, dtype=np.int64) - 1
        coords, parents = coords[heads], parents[heads]
    match spec:
        case Singleton():
            return len(coords), {"crd": coords.astype(index_dtype(spec, "crd", extent))}, group
        case Compressed():
            arrays = {
                "pos": _pointers(parents, fibers, where),
                "crd": coords.astype(index_dtype(spec, "crd", extent)),
            }
            return len(coords), arrays, group
        case Bitmask():
            return len(coords), _masks(coords, parents, fibers, extent, where), group
        case RunLength():
            return _runs(spec, coords, parents, fibers, group, where)
        case Structured():
            entries, offset, place = structured(spec, coords, parents, fibers, extent, where)
            return entries, {"offset": offset}, place[group]


def _pointers(parents: Indices, fibers: int, where: str) -> Indices:
    check_room(fibers + 1, 8, f"pos of {where}")
    pos = np.zeros(fibers + 1, dtype=np.int64)
    np.cumsum(np.bincount(parents, minlength=fibers), out=pos[1:])
    return pos


def _masks(
    coords: Indices, parents: Indices, fibers: int, extent: int, where: str
) -> dict[str, Array]:
    width = mask_words(extent)
    check_room(2 * fibers * width, 8, f"words and rank of {where}")
    words = np.zeros(fibers * width, dtype=np.uint64)
    if len(coords):
        word = parents * width + (coords >> 6)
        bit = np.uint64(1) << (coords & 63).astype(np.uint64)
        starts = np.flatnonzero(np.diff(word, prepend=-1))
        words[word[starts]] = np.bitwise_or.reduceat(bit, starts)
    return {"words": words, "rank": popcounts_before(words)}


def popcounts_before(words: Array) -> Indices:
    """Bits set in all words before each."""
    rank = np.zeros(len(words), dtype=np.int64)
    np.cumsum(np.bitwise_count(words[:-1]), out=rank[1:])
    return rank


def _runs(
    spec: RunLength, coords: Indices, parents: Indices, fibers: int, group: Indices, where: str
) -> tuple[int, dict[str, Array], Indices]:
    """Runs with bridges: floor(gap / 2**r) of them before an entry that ends a gap."""
    gap = coords.copy()
    same = parents[1:] == parents[:-1]
    gap[1:][same] -= coords[:-1][same] + 1
    bridges = gap >> spec.run_bits
    dtype = index_dtype(spec, "run", 0)
    entries = len(gap) + int(bridges.sum(dtype=np.float64))
    check_room(entries, dtype.itemsize, f"run of {where}, bridges included,")
    place = np.arange(len(gap), dtype=np.int64) + np.cumsum(bridges)
    entries = int(place[-1]) + 1 if len(place) else 0
    run = np.full(entries, spec.max_run, dtype=dtype)
    run[place] = gap & spec.max_run
    before = np.concatenate([np.zeros(1, dtype=np.int64), place + 1])
    pos = before[_pointers(parents, fibers, where)]
    return entries, {"pos": pos, "run": run}, place[group]


# ---- levels → storage coordinates -----------------------------------------------------------


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
        if len(values):
            flat[_flatten(expand(levels), [level.extent for level in levels])] = values
    back = np.argsort(order)
    parts = np.array(flat.reshape([sizes[part] for part in order]).transpose(back), order="C")
    return out_of_blocks(parts, shape, bound)


def _out_of_parts(
    levels: Sequence[LevelData], values: Array, shape: Sequence[int], bound: Format, fill: Any
) -> Array:
    """The dense array of a split format, whose blocks may go on far past it."""
    check_room(prod(shape), values.dtype.itemsize, "the dense array")
    array = full(prod(shape), values.dtype.type(fill))
    coords = axis_coordinates(expand(levels), shape, bound)
    inside = np.logical_and.reduce([crd < n for crd, n in zip(coords, shape, strict=True)])
    array[_flatten([crd[inside] for crd in coords], shape)] = values[inside]
    return array.reshape(shape)
