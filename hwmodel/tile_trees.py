"""Tiles as fibertrees, place by place: what no line of an accounting says of a format.

    R(r)      entries that bridge gaps, each of them counted from where the tile's fiber begins
    H(G:H)    entries that pad groups which hold less
    m/2:U k/4:C m%2:U k%4:U      zeros of blocks that hold something

A tile is encoded anew, of the places that its loops touch, whatever lies around it: gaps, groups
and blocks go over these places alone.  The places of every tile are listed with the tile that they
are in, in the order of the format; each level then takes out what it has no entry for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import (
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.formats.splits import part_coordinates, part_shape
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.subscript_values import points_of, values_of

Bits = NDArray[np.bool_]
Whole = NDArray[np.int64]

Listed = tuple[Whole, list[Whole]]

MOST_LISTED = 2**24
"""Places of all tiles together that are listed, and points of their loops along some axes."""

WHAT = ("fibers", "positions", "entries", "fillers", "pointers")
HELD = ("held", "held by tile")


@dataclass(frozen=True, slots=True)
class Side:
    """Which places along some axes are in a tile, by the loops that tell it.

    subscripts : of the axes; none where every place of the one axis is in each tile.
    extents : of the ranks of either.
    """

    axes: tuple[int, ...]
    subscripts: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    extents: tuple[tuple[str, int], ...]

    @property
    def ranks(self) -> set[str]:
        """Of the subscripts and the loops."""
        found = {name for subscript in self.subscripts for name in variables(subscript)}
        return found | {rank for loop in self.loops for rank in loop.told_by}

    @property
    def points(self) -> int:
        """Places of all ranks, that `rows` looks at."""
        extents = dict(self.extents)
        return prod(extents[rank] for rank in self.ranks) if self.subscripts else 0

    def rows(self, lengths: Sequence[int]) -> Whole:
        """Iterations of the loops and places along the axes that go together, each once."""
        if not self.subscripts:
            return np.arange(lengths[self.axes[0]]).reshape(-1, 1)
        at = points_of(self.ranks, dict(self.extents))
        columns = [loop.at(at) for loop in self.loops]
        columns += [values_of(subscript, at) for subscript in self.subscripts]
        return np.unique(np.stack(columns, axis=1), axis=0)


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of an operand in a format.

    kind : the mask of its entries; shape : of the tensor; lengths, pads : as those of a mask.
    loops, counts : that tell a tile, and their iterations.
    staying : a loop of these: not what a tile has, but what of it does not come, where only the
        places do that the tile of its iteration before did not have: as a tile of their own.
    """

    tensor: str
    kind: str
    shape: tuple[int, ...]
    lengths: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    format: Format
    loops: tuple[Loop, ...]
    counts: tuple[int, ...]
    sides: tuple[Side, ...]
    staying: Loop | None = None


@dataclass(frozen=True, slots=True)
class TileCount:
    """What every tile has of one level of its format.

    level : of those of `joined`; what : one of `WHAT`: ``fillers`` are the entries of value 0 that
    hold a place, of the last level; ``pointers`` one more than fibers, where there is any place.
    One of `HELD`: no count, but at which places the last level has an entry, over
    ``tiles.lengths``; where tiles have places in common, over the iterations that tell one, too.
    """

    tiles: Tiles
    level: int
    what: str


def joined(bound: Format) -> list[tuple[LevelFormat, tuple[int, ...]]]:
    """Levels of a format with the parts of axes that they are of; coordinates that S keeps for each
    entry are those of the C above it."""
    found: list[tuple[LevelFormat, tuple[int, ...]]] = []
    for level, parts in zip(bound.levels, bound.order, strict=True):
        if isinstance(level, Singleton):
            above, around = found.pop()
            found.append((above, (*around, *parts)))
        else:
            found.append((level, parts))
    return found


def counted(tiles: Tiles, held: Callable[[], Bits]) -> Mapping[tuple[int, str], Whole]:
    """What each tile has, by level and what it is.

    held : makes the mask of entries, over ``tiles.lengths``.

    Raises
    ------
    TensorError
        For more places than are listed, and a group H(G:H) that holds more than G.
    """
    mask = held()
    every, come = (
        None if x is None else _encoded(tiles, *x, mask[tuple(x[1])])[0] for x in listed(tiles)
    )
    assert every is not None
    return every if come is None else {name: every[name] - come[name] for name in every}


def listed(tiles: Tiles) -> tuple[Listed, Listed | None]:
    """The tile of each place of every tile, and the place along each axis; and of these what comes,
    where ``tiles`` say of what stays.

    Raises `TensorError` for more places than are listed.
    """
    tile, places = _listed(tiles)
    if tiles.staying is None:
        return (tile, places), None
    new = _is_new(tiles, tile, places)
    return (tile, places), (tile[new], [place[new] for place in places])


def entries_of(tiles: Tiles, held: Callable[[], Bits], *, by_tile: bool) -> Bits:
    """Where tiles have entries, those that only hold a place among them.

    by_tile : of each tile by itself: over ``tiles.counts``, then ``tiles.lengths``; else no place
        is in two tiles.

    Raises `TensorError` as `counted` does.
    """
    tile, places = _listed(tiles)
    _, kept = _encoded(tiles, tile, places, held()[tuple(places)])
    shape = (*(tiles.counts if by_tile else ()), *tiles.lengths)
    _check_number(tiles, prod(shape), "places in all tiles")
    at = tuple(place[kept] for place in places)
    found = np.zeros(shape, np.bool_)
    found[(*np.unravel_index(tile[kept], tiles.counts), *at) if by_tile else at] = True
    return found


def _is_new(tiles: Tiles, tile: Whole, places: Sequence[Whole]) -> Bits:
    """Which of these places the tile of the iteration before did not have."""
    assert tiles.staying is not None
    axis = tiles.loops.index(tiles.staying)
    behind = prod(tiles.counts[axis + 1 :])
    first: Bits = tile // behind % tiles.counts[axis] == 0
    place = np.zeros_like(tile)
    for column, length in zip(places, tiles.lengths, strict=True):
        place = place * length + column
    size = prod(tiles.lengths)
    there: Bits = np.isin((tile - behind) * size + place, tile * size + place)
    return first | ~there


def in_order(tiles: Tiles, tile: Whole, places: Sequence[Whole]) -> tuple[Whole, Whole]:
    """Places as the format has them: the tile of each, then its coordinate in every level of
    `joined`; and which place that is."""
    low = [lo for lo, _ in tiles.pads]
    parts = part_coordinates([x - lo for x, lo in zip(places, low, strict=True)], tiles.format)
    sizes, levels = part_shape(tiles.shape, tiles.format), joined(tiles.format)
    columns = [_along([parts[a] for a in axes], [sizes[a] for a in axes]) for _, axes in levels]
    order = np.lexsort((*columns[::-1], tile))
    return np.stack([tile, *columns])[:, order], order


def _encoded(
    tiles: Tiles, tile: Whole, places: Sequence[Whole], stored: Bits
) -> tuple[dict[tuple[int, str], Whole], Whole]:
    """What tiles of these places have, by level and what it is; of which of them there is an
    entry."""
    number, levels = prod(tiles.counts), joined(tiles.format)
    rows, order = in_order(tiles, tile, places)
    stored, kept = stored[order], order
    found: dict[tuple[int, str], Whole] = {}

    def of_tiles(first: Bits) -> Whole:
        made = np.bincount(rows[0][first], minlength=number)
        return made.reshape(tiles.counts)

    there = np.bincount(tile, minlength=number).reshape(tiles.counts) > 0
    entries = np.bincount(rows[0][stored], minlength=number).reshape(tiles.counts)
    for depth, (level, _) in enumerate(levels):
        fiber = starts_of(rows[: depth + 1])
        position = fiber | starts_of(rows[: depth + 2])
        fibers = of_tiles(fiber)
        found[depth, "fibers"] = fibers
        found[depth, "pointers"] = fibers + there
        found[depth, "positions"] = of_tiles(position)
        at = np.flatnonzero(position)
        has = np.logical_or.reduceat(stored, at) if len(at) else np.zeros(0, np.bool_)
        stays = _kept(level, has, np.cumsum(fiber, dtype=np.int64)[at], rows[depth + 1][at], tiles)
        alive = stays[np.cumsum(position) - 1]
        found[depth, "entries"] = of_tiles(position & alive)
        rows, stored, kept = rows[:, alive], stored[alive], kept[alive]
    found[len(levels) - 1, "fillers"] = found[len(levels) - 1, "entries"] - entries
    return found, kept


def _listed(tiles: Tiles) -> tuple[Whole, list[Whole]]:
    """The tile of each place of every tile, and the place along each axis: tiles are products of
    their sides."""
    telling = [loop.name for side in tiles.sides for loop in side.loops]
    assert len(telling) == len(set(telling)), "one loop tells the places of two sides"
    _check_number(tiles, max([side.points for side in tiles.sides], default=0), "points")
    sides = [side.rows(tiles.lengths) for side in tiles.sides]
    every = prod(map(len, sides))
    _check_number(tiles, every, "places together")
    at: dict[Any, Whole] = {}
    behind = every
    for side, rows in zip(tiles.sides, sides, strict=True):
        behind //= max(len(rows), 1)
        pick = np.arange(every) // max(behind, 1) % max(len(rows), 1)
        names = [*(loop.name for loop in side.loops), *side.axes]
        at |= {name: rows[pick, column] for column, name in enumerate(names)}
    places = [at[axis] for axis in range(len(tiles.lengths))]
    tile = np.zeros(every, np.int64)
    for loop, size in zip(tiles.loops, tiles.counts, strict=True):
        tile = tile * size + at[loop.name]
    there = np.ones(every, np.bool_)
    for place, (lo, _), extent in zip(places, tiles.pads, tiles.shape, strict=True):
        there &= (place >= lo) & (place < lo + extent)  # padding is no place
    return tile[there], [place[there] for place in places]


def _check_number(tiles: Tiles, number: int, what: str) -> None:
    if number > MOST_LISTED:
        raise TensorError(
            f"{tiles.tensor} is {tiles.format.label}: tiles are encoded place by place, and they "
            f"have {number:,} {what}; at most {MOST_LISTED:,} are listed\n"
            "Charge a part of the layer, or use C or B."
        )


def _along(columns: Sequence[Whole], sizes: Sequence[int]) -> Whole:
    """One coordinate for several, row-major."""
    found = columns[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        found = found * size + column
    return found


def starts_of(columns: Whole) -> Bits:
    """Where any of these sorted columns begins anew."""
    found = np.ones(columns.shape[1], np.bool_)
    found[1:] = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    return found


def _kept(level: LevelFormat, has: Bits, fiber: Whole, coordinate: Whole, tiles: Tiles) -> Bits:
    """Of the positions of a level those that it has an entry for.

    has : whether anything is stored there; fiber, coordinate : of each position.
    """
    match level:
        case Uncompressed():
            return np.ones_like(has)
        case RunLength():
            return has | _bridges(has, fiber, 1 << level.run_bits)
        case Structured():
            return _padded(level, has, fiber, coordinate, tiles)
    return has


def _bridges(has: Bits, fiber: Whole, step: int) -> Bits:
    """Every so manyth position since the entry before, or since the fiber begins, if another entry
    comes behind it."""
    entry = np.flatnonzero(has)
    first = np.searchsorted(fiber, fiber[entry])
    before = np.maximum(np.concatenate([[-1], entry[:-1]])[: len(entry)], first - 1)
    times = (entry - before - 1) // step
    ends = np.cumsum(times)
    turn = np.arange(times.sum()) - np.repeat(ends - times, times) + 1
    found = np.zeros_like(has)
    found[np.repeat(before, times) + step * turn] = True
    return found


def _padded(level: Structured, has: Bits, fiber: Whole, coordinate: Whole, tiles: Tiles) -> Bits:
    """Of every group what it holds and, until these are G, free places behind the last of them,
    then from the front."""
    starts = starts_of(np.stack([fiber, coordinate // level.group]))
    group = np.cumsum(starts) - 1
    number = int(group[-1]) + 1 if len(group) else 0
    held = np.bincount(group[has], minlength=number)
    if (held > level.most).any():
        raise TensorError(
            f"{tiles.tensor} is {tiles.format.label} tile by tile, and a group of {level.group} "
            f"holds {held.max()} entries; expected at most {level.most}\n"
            "Prune the group, or use C or B there."
        )
    offset = coordinate % level.group
    last = np.full(number, -1)
    last[group[has]] = offset[has]  # of equal places the later assignment stays
    behind = (offset - last[group] - 1) % level.group
    order = np.lexsort((behind, ~has, group))
    turn = np.arange(len(has)) - np.flatnonzero(starts)[group]
    found = np.zeros_like(has)
    found[order] = turn < level.most
    return found
