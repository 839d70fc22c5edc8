"""The tiled schedule of a bound operand that lies by columns of rows, as a bitmask.

    C[m,n] += W[m,k] * X[k,n]      W: k1:U m1:U k0:U m0:B, m0 as many rows as a vector has lanes

The rows of a group are the lanes of a vector: the values of a column are spread to the rows that
store it, and multiplied by each lane of the line in turn, which meets all rows at once.  So a place
costs a bit and its value, if it is stored, and an instruction for so many places and each lane of
the line, stored or not: less than entries with coordinates wherever places are well filled
(`column_shape`).  Lanes of the line need not fill vectors.  Places lie one behind the other, which
is so where each summed rank is an axis of the lanes' operand by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.level_data import check_room
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.crop import crop_rows
from zeroskip.native.domains import Range
from zeroskip.native.geometry import Geometry
from zeroskip.native.integers import ONE, ZERO, Cond, Const, Expr, Name, add, least, mul, sub
from zeroskip.native.lower import Lowered, finish
from zeroskip.native.nest import Guard, Loop, Stmt
from zeroskip.native.nest_tiles import Columns, Stage
from zeroskip.native.on_line import is_staged, stage_axis
from zeroskip.native.operand import Signature
from zeroskip.native.scheme import Key, Scheme
from zeroskip.native.scratch import on_large_pages
from zeroskip.native.sums import Sums
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import TileShape
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Entries by block, group of rows and column.

    masks : of each column of each group of each block, a bit for each row that stores it.
    first : where the values of each group start, and the end.
    values : of each entry, and as many more as are read past the last.
    """

    masks: Array
    first: Array
    values: Array


def summed_axes(plan: TilePlan) -> tuple[str, ...] | None:
    """The summed ranks in the order of the axes that they are of the lanes' operand; None where one
    shares its axis, or is a step of it."""
    axes = zip(plan.axes, plan.lane_access.subscripts, strict=True)
    ranks = [single(subscript) for axis, subscript in axes if axis.rank is None]
    found = tuple(rank for rank in ranks if rank is not None)
    return found if plan.panels and len(found) == len(ranks) else None


def mask_dtype(lanes: int) -> str:
    """The type of a bit for each lane of a vector."""
    return "uint8" if lanes <= 8 else "uint16"


def pack_columns(
    plan: TilePlan, operand: Operand, extents: Extents, geometry: Geometry, lanes: int
) -> Spread:
    """Lay the entries out; lanes : of a vector, the rows of a group."""
    numbers = geometry.numbers
    columns, blocks, groups = (numbers[n] for n in ("columns", "blocks", "row_blocks"))
    places = blocks * groups * columns * lanes
    room = f"the places of the packed {plan.entries.tensor}"
    check_room(places, 1 + operand.dtype.itemsize, room)
    row, column, values = _coordinates(plan, operand, extents)
    block, column = np.divmod(column, max(columns, 1))
    group, member = np.divmod(row, lanes)
    at = ((block * groups + group) * columns + column) * lanes + member
    stored = np.zeros(places, bool)
    stored[at] = True
    assert np.count_nonzero(stored) == len(at), "a tensor stores a place once"
    spread = np.zeros(places, values.dtype)
    spread[at] = values
    masks = np.packbits(stored.reshape(-1, lanes), axis=-1, bitorder="little")
    first = np.zeros(blocks * groups + 1, np.int64)
    np.cumsum(stored.reshape(blocks * groups, columns * lanes).sum(axis=-1), out=first[1:])
    behind = np.zeros(lanes, values.dtype)
    return Spread(
        masks.reshape(-1).view("u1" if lanes <= 8 else "<u2").astype(mask_dtype(lanes), copy=False),
        first,
        np.concatenate([spread[stored], behind]),
    )


def _coordinates(plan: TilePlan, operand: Operand, extents: Extents) -> tuple[Array, Array, Array]:
    """Row and column of each entry, and its value: columns are numbered as their places lie in
    the other operand."""
    if isinstance(operand, np.ndarray):
        coords: tuple[Array, ...] = np.indices(operand.shape, sparse=True)
        values = operand.reshape(-1)
    else:
        coords, values = operand.coords()
    ranks = [single(subscript) for subscript in plan.entries.subscripts]
    numbers: list[Array] = []
    for own in (plan.rows, summed_axes(plan) or ()):
        number: Array = np.zeros(1, np.int64)
        for rank in own:
            number = number * extents.ranks[rank] + coords[ranks.index(rank)]
        numbers.append(number)
    shape = operand.shape if isinstance(operand, np.ndarray) else (len(values),)
    row, column = (np.broadcast_to(number, shape).reshape(-1) for number in numbers)
    return row, column, values


def kept_columns(
    plan: TilePlan,
    operand: Operand,
    extents: Extents,
    geometry: Geometry,
    shape: TileShape,
    dtype: np.dtype[np.generic],
) -> dict[Key, Array]:
    """The arrays that a kernel has of an operand."""
    lanes = shape.vector_bytes // dtype.itemsize
    packed = pack_columns(plan, operand, extents, geometry, lanes)
    return {
        ("column_masks",): on_large_pages(packed.masks),
        ("first",): packed.first,
        ("packed",): on_large_pages(packed.values.astype(dtype, copy=False)),
    }


# ---- the kernel -------------------------------------------------------------------------


def lower_columns(
    plan: TilePlan, signatures: Mapping[str, Signature], dtype: str, shape: TileShape, direct: bool
) -> Lowered:
    """Loop nest of groups of rows against the line; its integers come from `geometry`.

    direct : whether the rows of lanes are those of the result, as it lies.
    """
    scheme = Scheme(plan.form, signatures, dtype)
    sums, fresh, number = Sums(scheme), scheme.names.fresh, scheme.number
    source, staging = _lanes_on_line(plan, scheme)
    entries, lanes = plan.entries.tensor, shape.vector_bytes // np.dtype(dtype).itemsize
    block, group, member = (fresh(n) for n in ("block", "group", "member"))
    line, rows_of = number("line"), Const(lanes)
    direct = direct and scheme.stored == dtype
    result, pitch = sums.result, line
    if not direct:
        result = scheme.buffer(("rows",), "row_sums", dtype, written=True)
        pitch = number("row_pitch")
    first_row = mul(Name(group), rows_of)
    rows = least(rows_of, sub(number("rows"), first_row))
    blocked = shape.block > 0
    turn: Expr = mul(Name(block), number("row_blocks")) if blocked else ZERO
    columns = number("columns")
    past: Expr = mul(Name(block), columns) if blocked else ZERO
    body: tuple[Stmt, ...] = (
        Columns(
            add(turn, Name(group)),
            rows,
            scheme.buffer(("column_masks",), f"{entries}_masks", mask_dtype(lanes)),
            scheme.buffer(("first",), f"{entries}_first", "int64"),
            scheme.buffer(("packed",), f"{entries}_packed", dtype),
            columns,
            least(columns, sub(number("summed"), past)) if blocked else columns,
            source,
            mul(past, line),
            line,
            result,
            mul(first_row, pitch),
            pitch,
            line,
            number("line_tiles"),
            shape.vectors,
            Name(block) if blocked else ZERO,
        ),
    )
    if not direct or plan.late or plan.form.post is not None:
        row = add(first_row, Name(member))
        held_in = None if direct else (result, ZERO)
        cropped: Stmt = Loop(
            member,
            Range(ZERO, rows),
            crop_rows(plan, scheme, sums, held_in, row, ZERO, line),
        )
        if blocked:
            last = Cond("==", Name(block), sub(number("blocks"), ONE))
            cropped = Guard((last,), (cropped,))
        body = (*body, cropped)
    nest: Stmt = Loop(group, Range(ZERO, number("row_blocks")), body, par=True)
    if blocked:
        nest = Loop(block, Range(ZERO, number("blocks")), (nest,))
    return finish(scheme, sums.title(), (*staging, nest), shape.vector_bytes)


def are_staged(plan: TilePlan, signatures: Mapping[str, Signature], dtype: str) -> bool:
    """Whether the lanes are copied: where they do not lie on a line yet, or are of another type."""
    return is_staged(plan, False) or signatures[plan.lane_access.tensor].dtype != dtype


def _lanes_on_line(plan: TilePlan, scheme: Scheme) -> tuple[str, tuple[Stage, ...]]:
    """The array in which the lanes lie on one line in the arithmetic's type, and the copy that puts
    them there."""
    name = plan.lane_access.tensor
    source = scheme.values(name)
    if not are_staged(plan, scheme.signatures, scheme.dtype):
        return source, ()
    target = scheme.buffer(("staged",), f"{name}_staged", scheme.dtype, written=True)
    axes = tuple(stage_axis(plan, scheme, axis, 1) for axis in plan.axes)
    return target, (Stage(target, source, axes, par=True),)
