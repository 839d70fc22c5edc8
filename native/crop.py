"""What tiles hold, into the result: without the halo, with the bias and the function; and turned,
where the result has its rows innermost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zeroskip.einsum_spec.walk import free
from zeroskip.native.domains import Range
from zeroskip.native.integers import (
    ONE,
    ZERO,
    Const,
    Expr,
    Name,
    add,
    ceildiv,
    floordiv,
    least,
    mod,
    most,
    mul,
    sub,
)
from zeroskip.native.nest import Bind, Loop, Stmt
from zeroskip.native.nest_tiles import Stage, StageAxis
from zeroskip.native.scheme import Scheme
from zeroskip.native.sums import Sums
from zeroskip.native.tile_shape import TURNED
from zeroskip.native.values import Elem

if TYPE_CHECKING:
    from zeroskip.native.tile import TilePlan

ROWS_TURNED = 64
"""Rows of sums that are turned together: what a lane has of them in the result is written in one
go, of some lines of memory."""

TURNED_PITCH = ROWS_TURNED + 16
"""From lane to lane in the copy; not a power of 2, of which a few would meet in one set of the
first-level cache."""

TURNED_SIZE = TURNED * TURNED_PITCH
"""Elements of the copy."""


def is_turned(plan: TilePlan) -> bool:
    """Whether the rows are innermost in the result: lanes that lie one behind the other are
    elements far apart there."""
    target = tuple(free(plan.form.target))
    return bool(plan.rows) and target[-len(plan.rows) :] == plan.rows


def crop_rows(
    plan: TilePlan,
    scheme: Scheme,
    sums: Sums,
    sums_at: tuple[str, Expr] | None,
    row: Expr,
    x: Expr,
    width: Expr,
) -> tuple[Stmt, ...]:
    """What of a row a tile holds into the result, with the bias and the function.

    sums_at : the array in which its sums are, from lane x on, and where they start; None where they
        are in the result already.
    x, width : first lane of the tile, and how many it has.
    """
    held = Elem(sums.result, scheme.row_major(plan.form.target))
    if sums_at is not None:
        array, start = sums_at
        at = add(start, mul(row, scheme.number("row_pitch")), lane_of(plan, scheme))
        held = Elem(array, sub(at, x))
    body: tuple[Stmt, ...] = (sums.store(held, map(sums.late_value, plan.late)),)
    body = _over(_pitches(plan, scheme), scheme, body, x, add(x, width))
    for k, rank in reversed(list(enumerate(plan.rows))):
        of = floordiv(row, _below(plan, scheme, rank))
        body = (Bind(scheme.rank(rank), mod(of, scheme.extent(rank)) if k else of, body),)
    return body


def crop_turned(
    plan: TilePlan,
    scheme: Scheme,
    sums: Sums,
    sums_at: tuple[str, Expr],
    first: Expr,
    past: Expr,
    x: Expr,
    width: Expr,
    part: Expr,
) -> tuple[Stmt, ...]:
    """The same of up to `ROWS_TURNED` rows, from the first up to ``past``, a few lanes at a time,
    by way of a copy in which the rows of each lane lie one behind the other.

    part : of the call, which has a copy of its own.
    """
    array, start = sums_at
    turned = scheme.buffer(("turned",), "turned", scheme.dtype, written=True)
    pitch, into = scheme.number("row_pitch"), mul(part, Const(TURNED_SIZE))
    row_0, end, group, lane_0 = map(scheme.names.fresh, ("row_0", "row_end", "group", "lane_0"))
    before = sub(Name(lane_0), x)
    few = least(Const(TURNED), sub(width, before))
    lanes = StageAxis(few, ZERO, 1, ONE, ZERO, Const(TURNED_PITCH))
    rows = StageAxis(sub(Name(end), Name(row_0)), ZERO, 1, pitch, ZERO, ONE)
    copied = Stage(turned, array, (rows, lanes), add(start, mul(Name(row_0), pitch), before), into)
    below = {rank: _below(plan, scheme, rank) for rank in plan.rows}
    lane, row = (sub(lane_of(plan, scheme), Name(lane_0)), sub(_place(below, scheme), Name(row_0)))
    held = Elem(turned, add(into, mul(lane, Const(TURNED_PITCH)), row))
    stored = sums.store(held, map(sums.late_value, plan.late))
    body = _over(below, scheme, (stored,), Name(row_0), Name(end))
    body = _over(_pitches(plan, scheme), scheme, body, Name(lane_0), add(Name(lane_0), few))
    body = (Bind(lane_0, add(x, mul(Name(group), Const(TURNED))), (copied, *body)),)
    body = (Loop(group, Range(ZERO, ceildiv(width, Const(TURNED))), body),)
    return (Bind(row_0, first, (Bind(end, past, body),)),)


def lane_of(plan: TilePlan, scheme: Scheme) -> Expr:
    """The lane of a point."""
    return _place(_pitches(plan, scheme), scheme)


def _pitches(plan: TilePlan, scheme: Scheme) -> dict[str, Expr]:
    """Lanes that a step of each lane rank moves."""
    inner = plan.lanes[-1]
    return {r: ONE if r == inner else scheme.number(f"pitch_{r}") for r in plan.lanes}


def _below(plan: TilePlan, scheme: Scheme, rank: str) -> Expr:
    """Rows that a step of a row rank moves."""
    inside = plan.rows[plan.rows.index(rank) + 1 :]
    return mul(*map(scheme.extent, inside)) if inside else ONE


def _place(steps: Mapping[str, Expr], scheme: Scheme) -> Expr:
    return add(*(mul(Name(scheme.rank(r)), step) for r, step in steps.items()), ZERO)


def _over(
    steps: Mapping[str, Expr], scheme: Scheme, body: tuple[Stmt, ...], start: Expr, past: Expr
) -> tuple[Stmt, ...]:
    """Loops over the ranks of a line, outermost first, whose places lie in a part of it."""
    for k, (rank, step) in reversed(list(enumerate(steps.items()))):
        outer = dict(list(steps.items())[:k])
        before, end = (sub(at, _place(outer, scheme)) for at in (start, past))
        if step != ONE:  # a part of its last step may lie in the tile, too
            end = ceildiv(end, step)
        over = Range(floordiv(most(ZERO, before), step), least(scheme.extent(rank), end))
        body = (Loop(scheme.rank(rank), over, body),)
    return body
