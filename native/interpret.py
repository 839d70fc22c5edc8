"""Runs a loop nest in Python, one statement at a time, and counts what it does.

Slow and plain: the second judge of every kernel, and the way without a compiler.  A vector loop
runs lane by lane.  What threads share runs as one part, or part by part in any order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from zeroskip.native.domains import Merge, Range, Stored, Together
from zeroskip.native.functions import FUNCTIONS
from zeroskip.native.interpret_columns import add_columns
from zeroskip.native.interpret_levels import WALKS, entries, together
from zeroskip.native.interpret_program import run_program
from zeroskip.native.load import KernelFailure
from zeroskip.native.machine import Array, Machine
from zeroskip.native.nest import (
    Acc,
    Bind,
    Check,
    Fetch,
    Fill,
    Find,
    Gathered,
    Guard,
    Kernel,
    Locate,
    Loop,
    Once,
    Reduce,
    Row,
    Touch,
)
from zeroskip.native.nest_tiles import Bring, Columns, Cut, Share, Slide, Stage, Tiles, Unrolled
from zeroskip.native.parallel import is_par, shares
from zeroskip.native.values import Elem, Held, Number


def interpret(
    kernel: Kernel,
    buffers: list[Array],
    dims: list[int],
    parameters: list[float],
    orders: Iterator[Sequence[int]] | None = None,
) -> int:
    """Run a kernel on one-dimensional arrays, in place.

    orders : of each phase, in which order its parts run, as a permutation of their numbers; one
        part where it is None.

    Returns
    -------
    int
        Multiplications of two operands that were executed.
    """
    machine = Machine(kernel, buffers, dims, parameters)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        if orders is None:
            _run(kernel.body, machine)
        else:
            _phases(kernel.body, machine, orders)
    return machine.work


def _phases(stmts: tuple[Any, ...], m: Machine, orders: Iterator[Sequence[int]]) -> None:
    for stmt in stmts:
        if is_par(stmt):
            order = next(orders)
            for m.part in order:
                m.parts = len(order)
                execute(stmt, m)
            m.part, m.parts = 0, 1
        elif shares(stmt):
            assert isinstance(stmt.over, Range)
            for i in range(m.integer(stmt.over.lo), m.integer(stmt.over.hi)):
                m.ints[stmt.var] = i
                _phases(stmt.body, m, orders)
        else:
            execute(stmt, m)


def _run(stmts: tuple[Any, ...], m: Machine) -> None:
    for stmt in stmts:
        execute(stmt, m)


@singledispatch
def execute(node: object, m: Machine) -> None:
    raise TypeError(f"cannot interpret {type(node).__name__}")


@execute.register
def _(node: Loop, m: Machine) -> None:
    if isinstance(node.over, Range):
        lo, hi = m.integer(node.over.lo), m.integer(node.over.hi)
        if node.kind == "vec":
            hi = lo + -(-max(hi - lo, 0) // m.lanes) * m.lanes
        shared, outside = range(lo, hi), (m.part, m.parts)
        if node.par:
            around = any(map(is_par, node.body))
            shared, m.part, m.parts = m.share(lo, hi, around)
            shared = m.share_by(node.by, lo, hi, *outside) if node.by and not around else shared
        for i in shared:
            m.ints[node.var] = i
            m.lane = i if node.kind == "vec" else m.lane
            _run(node.body, m)
        m.part, m.parts = outside
    elif isinstance(node.over, Together):
        for coordinate, row, position in together(node.over, m):
            m.ints[node.var], m.ints[node.over.row] = coordinate, row
            m.ints[node.over.pos] = position
            _run(node.body, m)
    elif isinstance(node.over, Stored):
        for coordinate, position in entries(node.over, m):
            m.ints[node.var], m.ints[node.over.pos] = coordinate, position
            _run(node.body, m)
    else:
        _merge(node, node.over, m)


def _merge(node: Loop, over: Merge, m: Machine) -> None:
    right = dict(entries(over.right, m))
    for coordinate, position in entries(over.left, m):
        if coordinate in right:
            m.ints[node.var] = coordinate
            m.ints[over.left.pos], m.ints[over.right.pos] = position, right[coordinate]
            _run(node.body, m)


@execute.register
def _(node: Bind, m: Machine) -> None:
    m.ints[node.var] = m.integer(node.expr)
    _run(node.body, m)


@execute.register
def _(node: Guard, m: Machine) -> None:
    if all(m.true(c) for c in node.conditions) and all(m.value(v) != 0 for v in node.nonzero):
        _run(node.body, m)


@execute.register
def _(node: Locate, m: Machine) -> None:
    parent, wanted = m.integer(node.parent), m.integer(node.coordinate)
    arrays = [m.arrays[name] for name in node.level.arrays]
    found = WALKS[node.level.letter](arrays, parent, m.integer(node.level.extent))
    position = dict(found).get(wanted)
    if position is not None:
        m.ints[node.pos] = position
        _run(node.body, m)


@execute.register
def _(node: Find, m: Machine) -> None:
    position = None
    if all(map(m.true, node.conditions)):
        parent, wanted = m.integer(node.parent), m.integer(node.coordinate)
        arrays = [m.arrays[name] for name in node.level.arrays]
        found = WALKS[node.level.letter](arrays, parent, m.integer(node.level.extent))
        position = dict(found).get(wanted)
    m.ints[node.pos] = -1 if position is None else position
    _run(node.body, m)


@execute.register
def _(node: Fetch, m: Machine) -> None:
    m.ints[node.var] = int(m.arrays[node.array][m.address(Elem(node.array, node.index))])
    _run(node.body, m)


@execute.register
def _(node: Check, m: Machine) -> None:
    if not 0 <= m.integer(node.coordinate) < m.integer(node.extent):
        raise KernelFailure("a place out of range", "ZS_ERANGE", node.number)
    _run(node.body, m)


@execute.register
def _(node: Once, m: Machine) -> None:
    marks, at = m.arrays[node.place.array], m.address(node.place)
    if marks[at]:
        raise KernelFailure("a place hit twice", "ZS_ECOLLISION", at)
    marks[at] = 1


@execute.register
def _(node: Stage, m: Machine) -> None:
    target, source = m.arrays[node.target], m.arrays[node.source]
    axes = [
        (
            m.integer(a.extent),
            m.integer(a.lo),
            a.stride,
            *map(m.integer, (a.source_stride, a.phase_stride, a.row_stride)),
        )
        for a in node.axes
    ]
    start, into = m.integer(node.start), m.integer(node.into)
    for index in np.ndindex(*(a[0] for a in axes)):
        if node.par and index[0] not in m.share(0, axes[0][0], False)[0]:
            continue
        at, to = start, into
        for i, (_, lo, stride, source_stride, phase_stride, row_stride) in zip(
            index, axes, strict=True
        ):
            at += i * source_stride
            to += (i + lo) % stride * phase_stride + (i + lo) // stride * row_stride
        past = sum(i * axis[3] for i, axis in zip(index[-2:], axes[-2:], strict=True))
        there = node.there is None or past < m.integer(node.there)
        found = source[at] if there else 0
        target[to] = int(found) + node.bias if node.bias else found


@execute.register
def _(node: Tiles, m: Machine) -> None:
    vectors = -(-m.integer(node.line) // m.lanes)
    tiles = m.integer(node.tiles)
    for t in range(tiles):
        first, end = vectors * t // tiles, vectors * (t + 1) // tiles
        assert end - first in node.vectors
        m.ints[node.var], m.ints[node.width] = first * m.lanes, (end - first) * m.lanes
        m.ints[node.part] = m.part
        _run(node.body, m)


@execute.register
def _(node: Cut, m: Machine) -> None:
    fibers, size, blocks = map(m.integer, (node.fibers, node.size, node.blocks))
    pos, crd = (m.arrays[name] for name in node.level.arrays)
    for f in range(fibers):
        fiber = crd[pos[f] : pos[f + 1]]
        for b in range(blocks):
            at = int(pos[f]) + int(np.count_nonzero(fiber < b * size))
            m.arrays[node.array][b * fibers + f] = at
        m.arrays[node.array][blocks * fibers + f] = pos[f + 1]


@execute.register
def _(node: Bring, m: Machine) -> None:
    """Nothing is computed."""


@execute.register
def _(node: Slide, m: Machine) -> None:
    places, last = m.integer(node.places), node.members - 1
    held = [(node.name, member) for member in range(node.members)]
    m.held |= dict.fromkeys(held, m.scalar(0))
    for step in range(places + last):
        m.ints[node.var] = step
        if step < places:
            m.held[held[0]] = m.value(node.place)
        _run(node.body, m)
        if step >= last:
            m.arrays[node.last.array][m.address(node.last)] = m.held[held[last]]
        for member in range(last, 0, -1):
            m.held[held[member]] = m.held[held[member - 1]]


FEWEST_SHARED = 4
"""Tiles of a line for each part, below which parts share the programs inside; and programs, from
which they do (ZS_FEWEST_SHARED)."""


@execute.register
def _(node: Share, m: Machine) -> None:
    """As ``zs_divide_line``."""
    tiles, programs, outside = *map(m.integer, (node.tiles, node.programs)), (m.part, m.parts)
    many = programs // FEWEST_SHARED >= m.parts
    groups = 1 if many else min(max(tiles // FEWEST_SHARED, 1), m.parts)
    held, part, parts = m.share(0, groups, True)
    m.ints[node.part] = m.part
    m.ints[node.lo] = tiles * held.start // groups
    m.ints[node.hi] = tiles * held.stop // groups
    m.part, m.parts = part, parts
    own = m.share(0, programs, False)[0]
    m.part, m.parts = outside
    m.ints[node.first], m.ints[node.end] = own.start, own.stop
    _run(node.body, m)


@execute.register
def _(node: Unrolled, m: Machine) -> None:
    run_program(node, m)


@execute.register
def _(node: Columns, m: Machine) -> None:
    add_columns(node, m)


@execute.register
def _(node: Acc, m: Machine) -> None:
    for member in range(node.members):
        m.ints |= {node.member: member} if node.member else {}
        m.held[node.name, member] = m.value(node.init)
    _run(node.body, m)
    for member in range(node.flushes or node.members):
        m.ints |= {node.member: member} if node.member else {}
        _run(node.flush, m)


@execute.register
def _(node: Reduce, m: Machine) -> None:
    new = m.value(node.value)
    if isinstance(node.place, Held):
        held = m.accumulator(node.place)
        m.held[held] = _combine(node.op, m.held[held], new)
    elif not m.beyond(node.place):
        array, at = m.arrays[node.place.array], m.address(node.place)
        array[at] = new if node.op == "=" else _combine(node.op, m.scalar(array[at]), new)
    m.work += node.work


def _combine(op: str, old: Any, new: Any) -> Any:
    if op == "+":
        return old + new
    if op == "*":
        return old * new
    if op == "max":
        return np.maximum(old, new)
    if op == "min":
        return np.minimum(old, new)
    if op == "=":
        return new
    return old | new if op == "|" else old & new


@execute.register
def _(node: Gathered, m: Machine) -> None:
    row = node.row
    ends, outer = m.arrays[row.ends], m.integer(row.outer)
    m.touched, m.kept = [], int(ends[outer])
    _run(node.body, m)
    vals, seen = m.arrays[row.vals], m.arrays[row.seen]
    for at in sorted(m.touched):
        seen[at] = 0
        _append(row, at, vals[at], m)
    ends[outer + 1] = m.kept


def _append(row: Row, at: int, value: Any, m: Machine) -> None:
    if row.post is not None:
        value = m.scalar(FUNCTIONS[row.post].python(value))
    if row.drops and value == 0:
        return
    if m.kept < m.integer(row.room):
        m.arrays[row.inners][m.kept], m.arrays[row.out][m.kept] = at, value
    m.kept += 1


@execute.register
def _(node: Touch, m: Machine) -> None:
    at = m.address(Elem(node.row.vals, node.index))
    vals, seen = m.arrays[node.row.vals], m.arrays[node.row.seen]
    m.work += node.work
    if node.ordered:
        _append(node.row, at, vals.dtype.type(m.value(node.value)), m)
        return
    if not seen[at]:
        seen[at], vals[at] = 1, node.row.start
        m.touched.append(at)
    vals[at] = _combine(node.row.op, m.scalar(vals[at]), m.value(node.value))


@execute.register
def _(node: Fill, m: Machine) -> None:
    array, count = m.arrays[node.array], m.integer(node.count)
    shared = m.share(0, count, False)[0] if node.par else range(count)
    array[shared.start : shared.stop] = (
        m.value(node.value) if not isinstance(node.value, Number) else node.value.value
    )
