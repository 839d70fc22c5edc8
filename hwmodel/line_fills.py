"""Whole lines of what a mapping brings from off chip tile by tile.

    A by rows, a tile of 3 columns:   |. x|x x|. x|.      a line holds two values of a row
                                            ^ ^ ^         the tile has 2 entries, in 2 lines

A tile reads every line that one of its entries lies in, each time it comes; of a tile that a window
moves over, entries that the iteration before had are not among them.  A tile that nobody calls for,
by a leader or a bracket, reads none.  What passes levels on its way, and what passes one because
its tile does not fit there, comes in lines of its own at each pass.  Lines of pointers are read
once, those of the fibers that any tile touches which comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.format import Format
from zeroskip.formats.levels import Uncompressed
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.lines import Layout, Lined
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves
from zeroskip.hwmodel.nest import Loop, Residency, iterations
from zeroskip.hwmodel.passing import read_apart, taken_apart
from zeroskip.hwmodel.plan import Accounting, Fill
from zeroskip.hwmodel.relations import (
    ENTRY,
    START,
    Column,
    Rows,
    Whole,
    axis,
    chosen,
    codes,
    distinct,
    grid,
    joined,
    length,
)
from zeroskip.hwmodel.stored import held_formats, recoded
from zeroskip.hwmodel.traces import Nested, called_rows, check_axes, entry_rows, nested, touched
from zeroskip.hwmodel.traffic import Counts, times_whole


def lined_fills(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operands: Mapping[str, Operand],
    tensor: str,
    layout: Layout,
    bound: Format,
) -> Moves:
    """What is read of a tensor off chip, at all of its fills; of those that change its format it is
    decoded there.

    Raises
    ------
    ArchError
        For an access that has one rank in two axes, where it comes tile by tile.
    """
    home = schedule.stays[tensor][0].level
    lies = held_formats(layer, arch, schedule, layer.first(tensor))
    found = Moves()
    for (parent, level, name), times in times_whole(accounting.fills, counts).items():
        if (parent, name) == (home, tensor):
            found += times * layout.once().read(decoded=recoded(lies[parent], lies[level]))
    nest = nested(layer, schedule.loops, operands)
    for fill in accounting.fills:
        mine = fill.operand.tensor == tensor and fill.parent == home
        if mine and fill.outer is not None and fill.points:
            parts = [accounting.given[name] for name in fill.parts]
            tiles = _tiles(nest, schedule, fill, counts, operands[tensor], layout, bound, parts)
            found += tiles.read(decoded=fill.decoded)
    return found


@dataclass(frozen=True, slots=True)
class TileLines:
    """Entries of the tiles of one fill as they come, in fibers that lie in lines.

    rows : of each entry and tile, the iterations of loops that tell these; tile : the fiber in one
        tile; place : in the fiber.
    times : how often each comes alike, but for loops across PEs that one read serves.
    asked : fibers that tiles touch and look for, with the iterations at which they do.
    """

    rows: Rows
    tile: Whole
    place: Whole
    times: int
    asked: Rows


FIBER = Column("fiber")
"""The column of the fiber that a row touches."""


def _tiles(
    nest: Nested,
    schedule: Schedule,
    fill: Fill,
    counts: Counts,
    held: Operand,
    layout: Layout,
    bound: Format,
    parts: Sequence[NDArray[np.bool_]],
) -> Lined:
    """parts : masks over the places in reach; what comes is in all of them."""
    found = tile_lines(nest, schedule, fill, counts, held, layout, bound, parts)
    order = np.argsort(codes([found.tile, found.place]), kind="stable")
    tile, place = found.tile[order], found.place[order]
    times = fill.reads * found.times
    data = layout.touched(tile, place, layout.value_bits)
    metadata = layout.touched(tile, place, layout.coordinate_bits)
    heads = 0
    if schedule.stays[fill.operand.tensor][1].level == fill.level:
        heads = layout.heads(np.unique(found.asked[FIBER]))  # tiles further in are parts of those
    return Lined(len(order) * times, data * times, metadata * times + heads)


def tile_lines(
    nest: Nested,
    schedule: Schedule,
    fill: Fill,
    counts: Counts,
    held: Operand,
    layout: Layout,
    bound: Format,
    parts: Sequence[NDArray[np.bool_]] = (),
    by: Sequence[Loop] | None = None,
) -> TileLines:
    """What a fill brings of a tensor off chip.

    by : loops at which its tiles come part by part, where it is asked when they do.

    Raises
    ------
    ArchError
        For an operand that has one rank in two axes.
    """
    operand = fill.operand
    check_axes(operand)
    stays = schedule.stays[operand.tensor]
    depth = [s.level for s in stays].index(fill.level)
    outer, stay = stays[0], stays[depth]
    way = schedule.residency(stay, operand.variables, nest.term.ranks)
    packed = not isinstance(bound.levels[-1], Uncompressed)
    shape = held.shape
    coordinates = held.coordinates if packed else tuple(np.indices(shape).reshape(len(shape), -1))
    keys = [Column(x.rank, x) for x in way.keys]
    inside = [Column(x.rank, x) for x in by or ()]
    rows = entry_rows(nest, operand, coordinates, [*keys, *inside])
    for part in parts:
        pads = zip(coordinates, operand.pads, strict=True)
        at = tuple(places[rows[ENTRY]] + low for places, (low, _) in pads)
        rows = chosen(rows, part[at])
    moving = None if stay.refilled else way.moving
    if not moves_over_itself(operand, moving, way.keys, nest.extents):
        moving = None
    apart = read_apart(outer, stay, taken_apart(stays, depth, way.beside))
    again = [*way.again, *apart] if fill.called else []  # else they are among its reads
    called = called_rows(fill.called, counts)
    calls = _calls(called, way, again, moving, nest.extents)
    if moving is not None:
        new = _new(rows, keys, moving)
        stayed = joined(chosen(rows, ~new), calls.anew)
        rows = joined(chosen(rows, new), calls.every)
        rows = {column: np.concatenate([rows[column], stayed[column]]) for column in rows}
    else:
        rows = joined(rows, calls.every)
    fiber, place = places_in(coordinates, shape, bound)
    if packed:
        order = np.argsort(codes([fiber, place]), kind="stable")
        place[order] = np.arange(len(order)) - layout.fibers.positions[fiber[order]]
    fiber, place = fiber[rows[ENTRY]], place[rows[ENTRY]]
    told = [rows[column] for column in rows if column.loop is not None and column not in inside]
    told_by = [*keys, *inside] if by is not None or fill.called else []
    asked = joined(fiber_rows(nest, operand, bound, told_by), calls.every)
    asked = chosen(asked, layout.asked(asked[FIBER], led=False))
    return TileLines(rows, codes([*told, fiber]), place, calls.times, asked)


@dataclass(frozen=True, slots=True)
class _Calls:
    """Iterations at which a tile comes, where something calls for it.

    anew : those of them at which that of the iteration before was not called for, and nothing of
        it is there.
    times : iterations of other loops at each of which it comes again.
    """

    every: Rows
    anew: Rows
    times: int


def _calls(
    called: Rows,
    way: Residency,
    again: Sequence[Loop],
    moving: Loop | None,
    extents: Mapping[str, int],
) -> _Calls:
    """By the loops that what calls for it has; where nothing has to, one row for all tiles.

    again : loops that the tensor lacks, at each of which it is read by itself, those across PEs
        among them; of others of these one read serves all iterations.
    """
    told = [column.loop for column in called if column.loop is not None]
    anew = chosen(called, np.zeros(length(called), np.bool_))
    if moving is not None and moving in told:
        anew = chosen(called, _new(called, [Column(x.rank, x) for x in told], moving))
    served = [Column(x.rank, x) for x in way.beside if x not in again]

    def read(rows: Rows) -> Rows:
        rows = distinct({c: values for c, values in rows.items() if c not in served})
        for rank in dict.fromkeys(x.rank for x in again if x.rank not in free and x not in told):
            rows = joined(rows, grid([Column(rank, x) for x in again if x.rank == rank], extents))
        return rows

    free = {x.rank for x in again} - {x.rank for x in told}
    times = iterations([x for x in again if x.rank in free], extents)
    return _Calls(read(called), read(anew), times)


def _new(rows: Rows, keys: Sequence[Column], moving: Loop) -> NDArray[np.bool_]:
    """Rows that the iteration before had not."""
    others = [rows[c] for c in keys if c.loop != moving]
    others += [rows[ENTRY]] if ENTRY in rows else []
    turn = rows[Column(moving.rank, moving)]
    both = [np.concatenate([values, values]) for values in others]
    code = codes([*both, np.concatenate([turn, turn + 1])])
    return ~np.isin(code[: len(turn)], code[len(turn) :])


def places_in(
    coordinates: tuple[Whole, ...], shape: tuple[int, ...], bound: Format
) -> tuple[Whole, Whole]:
    """The fiber of each entry, and its place in it."""
    *outer, inner = bound.order

    def number(axes: tuple[int, ...]) -> Whole:
        found = np.zeros(len(coordinates[0]), np.int64)
        for a in axes:
            found = found * shape[a] + coordinates[a]
        return found

    return number(tuple(a for axes in outer for a in axes)), number(inner)


def fiber_rows(nest: Nested, operand: Read, bound: Format, told_by: Sequence[Column]) -> Rows:
    """Fibers that an access touches, and the iterations at which it does, as far as columns tell
    them."""
    *outer, inner = bound.order
    axes = [a for each in outer for a in each]
    nothing = {START: np.zeros(1, np.int64)}
    rows = touched(nest, operand, (*axes, *inner), told_by, nothing, frozenset(axes))
    found = np.zeros(length(rows), np.int64)
    for a in axes:
        found = found * nest.shapes[operand.tensor][a] + rows[axis(a)]
    return distinct({c: rows[c] for c in rows if c.loop is not None or c == START} | {FIBER: found})
