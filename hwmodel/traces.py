"""Accesses of a mapped loop nest to the fibers of an operand, in the order of its loops.

    Z[m,n] = A[m,k]*B[k,n]    order m k n, B by rows: row k at each (m, k) where A has an entry
                              order m n k, B by columns: column n at each (m, n) where row m has one
                              order k m n, B by rows: row k at each (k, m) where A has an entry

A *fiber* is what the innermost level of a format holds for one place of all others.  From the
innermost loop outwards, those that the operand lacks and then those that go along its fibers are
one access; the loops outside tell which, and when.  Loops across PEs count as if they were in time.

An access is made where the iteration touches a place of the operand, and where every other one
that the design skips by has an entry under the loops outside: of one that has none of these loops
nothing is known yet.  Of a term that goes over a part of its points, by brackets, it is made where
the iteration has any of them; where tiles go by a leader, any whose tiles come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.indexing import tables_of
from zeroskip.hwmodel.layer import Layer, WorkTerm
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.plan import Call
from zeroskip.hwmodel.relations import (
    ENTRY,
    START,
    Column,
    Rows,
    Whole,
    axis,
    chosen,
    codes,
    columns_of,
    distinct,
    grid,
    joined,
    length,
    touches,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """fibers : of each access, numbered as the format stores them.

    times : iteration of each loop of the nest, -1 inside the access; a row each, in order.
    led : whether another operand says which fibers are asked for.
    """

    fibers: Whole
    times: Whole
    led: bool


@dataclass(frozen=True, slots=True)
class Nested:
    """A term of a layer and its loops, outermost first, all as if in time.

    known : numbers of the operands that the design skips by.
    tables : what index tensors hold.
    """

    term: WorkTerm
    loops: tuple[Loop, ...]
    extents: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    tables: Mapping[str, Whole]
    known: frozenset[int] = frozenset()


def nested(
    layer: Layer,
    loops: Sequence[Loop],
    operands: Mapping[str, Operand],
    known: frozenset[int] = frozenset(),
) -> Nested:
    """The one product of a layer, under these loops."""
    (term,) = layer.work
    timed = [replace(loop, dims=(), tiles=0) for loop in loops if loop.of(term.ranks)]
    there = tuple(loop for loop in timed if not loop.single)
    tables = tables_of(layer, operands)
    return Nested(term, there, layer.extents.ranks, layer.extents.shapes, tables, known)


def check_axes(operand: Read) -> None:
    """Refuse an operand that has one rank in two axes."""
    names = [name for subscript in operand.subscripts for name in variables(subscript)]
    for name in names:
        if names.count(name) > 1:
            raise ArchError(
                f"lines and caches: {operand.tensor} has {name} in two axes, and which of its "
                "fibers are touched is then told by both; not listed as yet\n"
                "Leave lines and cache out of the architecture."
            )


def loops_outside(nest: Nested, operand: Read, bound: Format) -> tuple[Loop, ...]:
    """The loops whose iterations are the accesses to an operand."""
    *outer, inner = bound.order
    keys = {v for axes in outer for a in axes for v in variables(operand.subscripts[a])}
    along = {v for a in inner for v in variables(operand.subscripts[a])} - keys
    depth = len(nest.loops)
    while depth and nest.loops[depth - 1].rank not in keys | along:
        depth -= 1
    while depth and nest.loops[depth - 1].rank in along:
        depth -= 1
    return nest.loops[:depth]


def called_rows(calls: Sequence[Call], counts: Mapping[str, NDArray[Any]]) -> Rows:
    """Iterations at which all of these call for a tile; one row of nothing where there are none."""
    rows: Rows = {START: np.zeros(1, np.int64)}
    for call in calls:
        at = np.argwhere(counts[call.name])
        every = {Column(x.rank, x): at[:, axis] for axis, x in enumerate(call.keys)}
        rows = joined(rows, {START: np.zeros(len(at), np.int64)} | every)
    return rows


def tiles_of(
    nest: Nested,
    number: int,
    bound: Format,
    keys: Sequence[Loop],
    called: Rows,
    parts: Sequence[NDArray[np.bool_]] = (),
) -> Trace:
    """Of operand ``number`` the fibers of each tile, as it comes: at each iteration of these loops,
    of those across the array for each PE, those that it touches.

    called : the iterations at which it comes (`called_rows`).
    parts : masks over the places in reach; what comes is in all of them.

    Raises `ArchError` and `RoomError` as `trace_of` does.
    """
    check_axes(nest.term.operands[number])
    if not nest.term.points:
        return _none(nest)
    names = [loop.name for loop in nest.loops]
    outside = [loop for loop in keys if loop.name in names]
    columns = [Column(loop.rank, loop) for loop in outside]
    rows = distinct({c: called[c] for c in called if c.loop is None or c in columns})
    return _listed(nest, number, bound, outside, columns, rows, parts, led=False)


def _none(nest: Nested) -> Trace:
    return Trace(np.zeros(0, np.int64), np.zeros((0, len(nest.loops)), np.int64), led=False)


def trace_of(
    nest: Nested, number: int, bound: Format, operands: Mapping[str, Operand], called: Rows
) -> Trace:
    """The accesses of operand ``number`` of a term, that lies in the format ``bound``.

    called : the iterations at which all tiles of it come (`called_rows`).

    Raises
    ------
    ArchError
        For an operand that has a rank in two axes.
    RoomError
        For more accesses than memory has room for.
    """
    operand = nest.term.operands[number]
    check_axes(operand)
    if not nest.term.points:
        return _none(nest)
    outside = loops_outside(nest, operand, bound)
    columns = columns_of(outside, nest.loops)
    told = {column.rank for column in columns}
    others = [
        other
        for i, other in enumerate(nest.term.operands)
        if i != number and i in nest.known and other.variables & told
    ]
    rows = _called(nest, others, operands, columns, called)
    *outer, _ = bound.order
    own = {v for axes in outer for a in axes for v in variables(operand.subscripts[a])}
    led = any(other.variables & own for other in others)
    return _listed(nest, number, bound, outside, columns, rows, (), led=led)


def _listed(
    nest: Nested,
    number: int,
    bound: Format,
    outside: Sequence[Loop],
    columns: Sequence[Column],
    rows: Rows,
    parts: Sequence[NDArray[np.bool_]],
    *,
    led: bool,
) -> Trace:
    """What iterations of some loops touch, in their order; at one of them, in that of storage.

    columns : what tells the iteration; rows : at which something is called for; parts : masks of
        the places that count.
    """
    operand, names = nest.term.operands[number], [loop.name for loop in nest.loops]
    *outer, inner = bound.order
    keys = [a for axes in outer for a in axes]
    every = (*keys, *inner)
    rows = touched(nest, operand, every, columns, rows, frozenset(every if parts else keys))
    for part in parts:
        at = tuple(rows[axis(a)] + low for a, (low, _) in enumerate(operand.pads))
        rows = chosen(rows, part[at])
    if parts:
        rows = distinct({c: rows[c] for c in (START, *columns, *map(axis, keys)) if c in rows})
    for rank in dict.fromkeys(column.rank for column in columns):
        mine = [column for column in columns if column.rank == rank]
        if not all(column in rows for column in mine):
            rows = joined(rows, grid(mine, nest.extents))
    times = np.full((length(rows), len(nest.loops)), -1, np.int64)
    for loop in outside:
        place = rows.get(Column(loop.rank))
        times[:, names.index(loop.name)] = (
            rows[Column(loop.rank, loop)] if place is None else loop.at({loop.rank: place})
        )
    fibers = np.zeros(len(times), np.int64)
    for a in keys:
        fibers = fibers * nest.shapes[operand.tensor][a] + rows[axis(a)]
    order = np.argsort(codes([*times.T, fibers]), kind="stable")
    return Trace(fibers[order], times[order], led)


def _called(
    nest: Nested,
    others: Sequence[Read],
    operands: Mapping[str, Operand],
    columns: Sequence[Column],
    called: Rows,
) -> Rows:
    """Iterations that have a point within the brackets in tiles that come, and at which each of
    these operands has an entry; one row of nothing where none of these matters."""
    rows = open_rows(nest.term, columns, nest.extents, called)
    for other in others:
        check_axes(other)
        found = entry_rows(nest, other, operands[other.tensor].coordinates, columns)
        found = {column: found[column] for column in columns if column in found}
        whole = {column.rank for column in found if column.loop is None}
        if not other.variables <= whole:
            found = distinct(found)
        rows = joined(rows, found)
    return rows


def open_rows(
    term: WorkTerm, columns: Sequence[Column], extents: Mapping[str, int], called: Rows
) -> Rows:
    """Iterations that have a point within the brackets of a term, as far as these tell them.

    called : the iterations of points that are called for.
    """
    ranks = ranks_of(term.within)
    places = np.nonzero(np.atleast_1d(inside_of(term.within, extents)))
    at = dict(zip(ranks, places, strict=False))  # of no ranks there is the one point
    told = list(dict.fromkeys([*columns, *(c for c in called if c.loop is not None)]))
    every = {column: column.of(at[column.rank]) for column in told if column.rank in ranks}
    rows = joined(distinct({START: np.zeros(len(places[0]), np.int64)} | every), called)
    for rank in dict.fromkeys(c.rank for c in called if c.loop is not None and c.rank not in ranks):
        rows = joined(rows, grid([c for c in told if c.rank == rank], extents))
    return distinct({column: rows[column] for column in (START, *columns) if column in rows})


def entry_rows(
    nest: Nested, operand: Read, coordinates: Sequence[Whole], columns: Sequence[Column]
) -> Rows:
    """Each entry of an operand, by its axes and its number, with each iteration that touches it.

    coordinates : of the entries, along each axis.
    """
    rows = {axis(a): places for a, places in enumerate(coordinates)}
    rows[ENTRY] = np.arange(len(coordinates[0]))
    every = range(len(operand.subscripts))
    return touched(nest, operand, every, columns, rows, frozenset(every))


def touched(
    nest: Nested,
    operand: Read,
    axes: Sequence[int],
    columns: Sequence[Column],
    rows: Rows,
    kept: frozenset[int],
) -> Rows:
    """Rows that touch a place along each of these axes.

    kept : axes whose places the rows tell.
    """
    shape = nest.shapes[operand.tensor]
    for a in axes:
        subscript, (low, _) = operand.subscripts[a], operand.pads[a]
        rank = single(subscript)
        mine = [column for column in columns if column.rank in variables(subscript)]
        if rank is not None and axis(a) in rows:
            place = rows[axis(a)] + low
            rows = chosen(rows, place < nest.extents[rank])
            place = rows[axis(a)] + low
            rows |= {column: column.of(place) for column in mine}
            continue
        if rank is not None and Column(rank) in rows:
            place = rows[Column(rank)] - low
            inside = (place >= 0) & (place < shape[a])
            rows = chosen(rows | {axis(a): place}, inside)
            continue
        found = touches(subscript, a, shape[a], low, mine, nest.extents, nest.tables)
        if a not in kept:
            anywhere = np.zeros(length(found), np.int64)  # which place does not matter
            found = distinct({START: anywhere} | {column: found[column] for column in mine})
        rows = joined(rows, found)
    return rows
