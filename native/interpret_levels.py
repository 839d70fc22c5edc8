"""The entries of a fiber in Python, for every level: what `interpret` walks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from zeroskip.native.domains import Stored, Together
from zeroskip.native.machine import Array, Machine


def together(over: Together, m: Machine) -> Iterator[tuple[int, int, int]]:
    """(coordinate, number of the sum, position) of every entry of a block of rows."""
    block, patterns = m.integer(over.block), 2**over.rows - 1
    entry = int(m.arrays[over.first][block])
    starts = m.arrays[over.columns][block * patterns : (block + 1) * patterns + 1]
    for pattern in range(1, patterns + 1):
        columns = m.arrays[over.coordinates][starts[pattern - 1] : starts[pattern]]
        for at, coordinate in enumerate(columns):
            for row in range(over.rows):
                if pattern >> row & 1:
                    yield int(coordinate), row + over.rows * (at % over.chains), entry
                    entry += 1


def entries(over: Stored, m: Machine) -> Iterator[tuple[int, int]]:
    """(coordinate, position) of each entry of the fiber, inside the window."""
    parent = m.integer(over.parent)
    arrays = [m.arrays[name] for name in over.level.arrays]
    extent = m.integer(over.level.extent)
    lo, hi = (0, extent) if over.window is None else (m.integer(e) for e in over.window)
    if over.between is not None:
        array, at = m.arrays[over.between.array], (over.between.first, over.between.end)
        for p in range(*(int(array[m.integer(one)]) for one in at)):
            assert lo <= arrays[1][p] < hi
            yield int(arrays[1][p]), p
        return
    walk = partial(_groups, over.level.group) if over.level.group else WALKS[over.level.letter]
    for coordinate, position in walk(arrays, parent, extent):
        if lo <= coordinate < hi:
            yield coordinate, position


def _compressed(arrays: list[Array], parent: int, extent: int) -> Iterator[tuple[int, int]]:
    pos, crd = arrays
    for p in range(int(pos[parent]), int(pos[parent + 1])):
        yield int(crd[p]), p


def _bitmask(arrays: list[Array], parent: int, extent: int) -> Iterator[tuple[int, int]]:
    words, rank = arrays
    for c in range(extent):
        p = _bit(words, rank, parent, extent, c)
        if p >= 0:
            yield c, p


def _bit(words: Array, rank: Array, parent: int, extent: int, c: int) -> int:
    w = parent * -(-extent // 64) + c // 64
    word = int(words[w])
    if not word >> c % 64 & 1:
        return -1
    return int(rank[w]) + (word & (1 << c % 64) - 1).bit_count()


def _runs(arrays: list[Array], parent: int, extent: int) -> Iterator[tuple[int, int]]:
    pos, run = arrays
    c = -1
    for p in range(int(pos[parent]), int(pos[parent + 1])):
        c += int(run[p]) + 1
        yield c, p


def _groups(
    group: tuple[int, ...], arrays: list[Array], parent: int, extent: int
) -> Iterator[tuple[int, int]]:
    most, size = group
    each = extent // size * most + min(most, extent % size)
    for q in range(each):
        p = parent * each + q
        yield q // most * size + int(arrays[0][p]), p


def _singleton(arrays: list[Array], parent: int, extent: int) -> Iterator[tuple[int, int]]:
    yield int(arrays[0][parent]), parent


WALKS: Mapping[str, Callable[[list[Array], int, int], Iterator[tuple[int, int]]]] = {
    "C": _compressed,
    "B": _bitmask,
    "R": _runs,
    "S": _singleton,
}
