"""Whole lines of what a mapping brings from off chip tile by tile.

    A by rows, a tile of 3 columns:   |. x|x x|. x|.      a line holds two values of a row
                                            ^ ^ ^         the tile has 2 entries, in 2 lines

A tile reads every line that one of its entries lies in, each time it comes; of a tile that a window
moves over, entries that the iteration before had are not among them.  Lines of pointers are read
once, those of the fibers that any tile touches.
"""

from __future__ import annotations

import numpy as np

from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lines import Layout, Lined
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.plan import Accounting, Fill
from zeroskip.hwmodel.relations import (
    ENTRY,
    Column,
    Rows,
    Whole,
    axis,
    chosen,
    codes,
    touches,
)
from zeroskip.hwmodel.traces import Nested, check_axes, entry_rows, nested
from zeroskip.hwmodel.traffic import Counts, times_whole


def lined_fills(
    layer: Layer,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operand: Operand,
    tensor: str,
    layout: Layout,
    bound: Format,
) -> Lined:
    """What is read of a tensor off chip, at all of its fills.

    Raises
    ------
    ArchError
        For an access that has one rank in two axes, where it comes tile by tile.
    """
    home = schedule.stays[tensor][0].level
    found = Lined(0, 0, 0)
    for (parent, _, name), times in times_whole(accounting, counts).items():
        if (parent, name) == (home, tensor):
            once = layout.once()
            found += Lined(*(times * n for n in (once.entries, once.data_bits, once.metadata_bits)))
    nest = nested(
        layer.work[0], schedule.loops, layer.extents.ranks, layer.extents.shapes, frozenset()
    )
    for fill in accounting.fills:
        mine = fill.operand.tensor == tensor and fill.parent == home
        if mine and fill.outer is not None and fill.points:
            found += _tiles(nest, schedule, fill, operand, layout, bound)
    return found


def _tiles(
    nest: Nested, schedule: Schedule, fill: Fill, held: Operand, layout: Layout, bound: Format
) -> Lined:
    operand = fill.operand
    check_axes(operand)
    stay = next(s for s in schedule.stays[operand.tensor] if s.level == fill.level)
    way = schedule.residency(stay, operand.variables, nest.term.ranks)
    packed = isinstance(bound.levels[-1], Compressed)
    shape = held.shape
    coordinates = held.coordinates if packed else tuple(np.indices(shape).reshape(len(shape), -1))
    rows = entry_rows(nest, operand, coordinates, [Column(x.rank, x) for x in way.keys])
    moving = None if stay.refilled else way.moving
    if moves_over_itself(operand, moving, way.keys, nest.extents):
        assert moving is not None
        rows = _new(rows, way.keys, moving)
    fiber, place = _places(coordinates, shape, bound)
    if packed:
        order = np.argsort(codes([fiber, place]), kind="stable")
        place[order] = np.arange(len(order)) - layout.fibers.positions[fiber[order]]
    fiber, place = fiber[rows[ENTRY]], place[rows[ENTRY]]
    tile = codes([*(rows[Column(x.rank, x)] for x in way.keys), fiber])
    order = np.argsort(codes([tile, place]), kind="stable")
    tile, place = tile[order], place[order]
    data = layout.touched(tile, place, layout.value_bits)
    metadata = layout.touched(tile, place, layout.coordinate_bits)
    heads = layout.heads(_reached(nest, fill, layout, bound))
    return Lined(len(order) * fill.reads, data * fill.reads, metadata * fill.reads + heads)


def _new(rows: Rows, keys: tuple[Loop, ...], moving: Loop) -> Rows:
    """Without entries that the tile of the iteration before had."""
    others = [rows[Column(x.rank, x)] for x in keys if x != moving] + [rows[ENTRY]]
    turn = rows[Column(moving.rank, moving)]
    both = [np.concatenate([values, values]) for values in others]
    code = codes([*both, np.concatenate([turn, turn + 1])])
    return chosen(rows, ~np.isin(code[: len(turn)], code[len(turn) :]))


def _places(
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


def _reached(nest: Nested, fill: Fill, layout: Layout, bound: Format) -> Whole:
    """Fibers that points touch, in order; of those that are listed, what is in the list."""
    operand, shape = fill.operand, nest.shapes[fill.operand.tensor]
    for a in bound.order[-1]:
        low = operand.pads[a][0]
        if not len(touches(operand.subscripts[a], a, shape[a], low, (), nest.extents)[axis(a)]):
            return np.zeros(0, np.int64)
    found = np.zeros(1, np.int64)
    for a in (a for axes in bound.order[:-1] for a in axes):
        low = operand.pads[a][0]
        along = touches(operand.subscripts[a], a, shape[a], low, (), nest.extents)[axis(a)]
        found = (found[:, None] * shape[a] + along).ravel()
    return found[layout.asked(found, led=False)]
