"""Which bound operands lie by columns of rows, as a bitmask, and the arrays of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from math import prod

from zeroskip.native import columns
from zeroskip.native.arguments import Array
from zeroskip.native.geometry import Geometry, geometry, line_of_lanes
from zeroskip.native.lines import Line
from zeroskip.native.scheme import Key
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import WIDE, TileShape, tiles_of

COMPUTED = ("float32", "float64")
"""Types whose multiply-adds leave lanes out."""

MOST_LANES = 28
"""Lanes of a tile, a register each (ZS_MOST_LANES): 4 of 32 hold what is loaded."""

SPREADING = 3
"""Instructions of a column beside its multiply-adds that the ports of these have to take: a mask
is moved, and values are spread in two."""

COLUMN, ENTRY = 1.3, 0.65
"""What tiles of four rows take for each vector of the line and one more, in multiply-adds of
columns: a column that one of the rows stores (its place and lanes are loaded, its pattern ends) and
an entry.  Fitted to products of 4096 x 4096 entries and one vector, at densities from .05 to .8,
and of 2048 x 512 and two, on one machine (Granite Rapids), of which all are met within a tenth; no
command of the repository finds them again, and wrong ones cost time."""

FAR = 2**20
"""Bytes of a block's places, which each group of rows reads again: they stay in a second-level
cache."""


def pays(lanes: int, rows: int, line: int, density: float) -> bool:
    """Whether columns of so many of the rows take less than tiles of four, whose lanes come in
    vectors of as many."""
    of_columns: float = line + SPREADING * -(-line // MOST_LANES)
    of_columns *= -(-rows // lanes) * lanes / max(rows, 1)  # the last group may have few
    stored = 1 - (1 - density) ** 4
    each = COLUMN * stored / 4 + ENTRY * density
    return of_columns <= lanes * (-(-line // lanes) + 1) * each


def shape_or_why(
    line: Line, plan: TilePlan, bound: Collection[str], stored: int, width: int
) -> TileShape | str:
    """The shape of columns, or why there is none: it does not fit, or does not pay."""
    name, operand = plan.entries.tensor, line.used[plan.entries.tensor]
    if name not in bound:
        return f"{name} is not bound, and its bitmask would serve one call."
    if line.dtype.name not in COMPUTED:
        return f"{line.dtype.name} is multiplied in all lanes; float32 and float64 are not."
    if columns.summed_axes(plan) is None:
        return (
            f"the places of {plan.lane_access.tensor} that are summed over do not lie one behind "
            "the other, each with lanes of its own."
        )
    lanes = width // line.dtype.itemsize
    summed = prod(line.extents.ranks[rank] for rank in plan.term.ranks)
    line_lanes = line_of_lanes(plan, line.extents)
    shape = _shape(width, lanes, line_lanes, summed, line)
    if line.fixed.bitmask:
        return shape
    density = stored / max(operand.size, 1)
    made = geometry(plan, line.extents, shape, line.dtype.itemsize)
    paid = pays(lanes, made.numbers["rows"], line_lanes, density)
    if not (width >= WIDE and made.direct and paid):
        return "it does not pay."
    return shape


def _shape(width: int, lanes: int, line_lanes: int, summed: int, line: Line) -> TileShape:
    block = line.fixed.block
    if block is None:
        most = max(FAR // max(line_lanes * line.dtype.itemsize, 1), 1)
        block = most if summed > most else 0
    tiles = tiles_of(line_lanes, MOST_LANES)[1] or (1,)
    return TileShape(width, lanes, tiles, block, panel=False, bitmask=True)


def kept(line: Line, plan: TilePlan, made: Geometry, shape: TileShape) -> Mapping[Key, Array]:
    """The columns of an operand, once for all lengths of a line whose offsets are equal."""
    name = plan.entries.tensor
    operand = line.used[name]
    build = partial(columns.kept_columns, plan, operand, line.extents, made, shape, line.dtype)
    how = "columns", *line.key, shape.vector_bytes, made.numbers["columns"], made.strides
    return line.laid_out(name, how, build)
