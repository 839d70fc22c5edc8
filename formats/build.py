"""Sorted coordinates of storage ranks → level arrays.

It goes level by level from the root with one thing in hand: the position that each entry has at
the level above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.fills import full
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
from zeroskip.formats.structured import structured


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
    """For each rank, which elements are the first of an entry there; None where all are, as at
    the innermost, and of U, whose places are there without any.

    An entry of a C above S is told apart by the coordinates of the S below it too.
    """
    listed = [
        i
        for i, level in enumerate(bound.levels[:-1])
        if bound.unique(i) and not isinstance(level, Uncompressed)
    ]
    first: list[Array] = []
    for crd in coords[: max(listed, default=-1) + 1]:
        new = np.ones(len(crd), dtype=bool)
        new[1:] = crd[1:] != crd[:-1]
        if first:
            new |= first[-1]
        first.append(new)
    heads: list[Array | None] = [*first, *[None] * (len(coords) - len(first))]
    for i in range(len(heads) - 2, -1, -1):
        if not bound.unique(i):
            heads[i] = heads[i + 1]
    return heads


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
        return fibers * extent, {}, coords if fibers == 1 else parents * extent + coords
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
