"""Which lines have their entries as machine code, and the arrays of their programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from zeroskip.native import unrolled
from zeroskip.native.arguments import Array
from zeroskip.native.geometry import (
    Geometry,
    geometry,
    line_of_lanes,
    lying_in,
    reach_of,
    shifts_of,
)
from zeroskip.native.joined import density_of_words, held_as, places_of_lane
from zeroskip.native.lines import Line
from zeroskip.native.scheme import Key
from zeroskip.native.scratch import LINE_BYTES, on_large_pages
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import MOST, WIDE, TileShape, tiles_pay, unrolled_shape


def shape_or_why(
    line: Line,
    plan: TilePlan,
    bound: Collection[str],
    stored: int,
    width: int,
) -> TileShape | str:
    """The shape in machine code, or why there is none: it does not fit, or does not pay."""
    name, operand = plan.entries.tensor, line.used[plan.entries.tensor]
    if name not in bound:
        return f"{name} is not bound, and machine code of it would serve one call."
    entries, lanes = (line.signatures[a.tensor].dtype for a in (plan.entries, plan.lane_access))
    joined = places_of_lane(entries, lanes, line.dtype.name)
    if line.dtype.name not in unrolled.CODED and joined == 1:
        return (
            f"{line.dtype.name} is computed by no such instruction; float32 and float64 are, and "
            "products of values of 8 or 16 bits, uint16 left out."
        )
    if width != WIDE:
        return f"it takes vectors of {WIDE} bytes, and these have {width}."
    itemsize, masked = line.dtype.itemsize, shifts_of(plan, line.extents) is not None
    line_vectors = -(-line_of_lanes(plan, line.extents, masked) // (width // itemsize))
    density = density_of_words(stored / max(operand.size, 1), joined)
    rows = prod(line.extents.ranks[rank] for rank in plan.rows)
    reach, summed, pitch = sizes_of(line, plan, width)
    if not line.fixed.unrolled:
        if not unrolled.pays(line_vectors, rows, stored, density, masked):
            return "it does not pay."
        if lies_in_place(line, plan) and tiles_pay(rows, density, reach, summed, pitch):
            return "it does not pay, where tiles load a place seldom or rows meet few."
    if not unrolled.available(joined):
        return "this processor, or this system, runs no code that a process has written."
    ends = 2 * (width // itemsize)  # of one vector, which begins and ends inside lines of a cache
    read = WIDE if plan.panels else reach_of(plan, line.extents, ends, masked) * itemsize
    shape = unrolled_shape(rows, summed, density, line.fixed.block, min(read, WIDE), joined)
    same = line.signatures[plan.lane_access.tensor].dtype == line.dtype.name
    lies = same and lying_in(plan, line.extents, masked, width // itemsize) is not None
    shape = replace(shape, masked=masked, lying=lies)
    span = geometry(plan, line.extents, shape, itemsize).span * itemsize
    span *= WIDE // itemsize if plan.panels else 1
    if span > unrolled.REACH_BYTES:
        return f"{plan.lane_access.tensor} is longer than offsets in code reach."
    return shape


def lies_in_place(line: Line, plan: TilePlan) -> bool:
    """Whether vectors of lanes can be read in the operand itself."""
    return plan.in_place and line.signatures[plan.lane_access.tensor].dtype == line.dtype.name


def sizes_of(line: Line, plan: TilePlan, width: int) -> tuple[float, int, int]:
    """Bytes that a tile of single rows reads for each summed place, how many these are, and bytes
    of the line, which is from one of them to the next where it lies in place."""
    itemsize, lanes = line.dtype.itemsize, line_of_lanes(plan, line.extents)
    of_tile = min(-(-lanes * itemsize // width), MOST) * width // itemsize
    summed = prod(line.extents.ranks[rank] for rank in plan.term.ranks)
    return reach_of(plan, line.extents, of_tile) * itemsize, summed, lanes * itemsize


def begins(line: Line, plan: TilePlan, made: Geometry, shape: TileShape) -> tuple[int, int]:
    """Bytes by which the operand of the lanes begins behind the start of a line of the cache, and
    lanes by which vectors do that are read: in memory that is the kernel's own, whole lines; where
    they lie, as now, for which code is made that others do without."""
    if not shape.lying:
        return 0, 0
    operand, itemsize = line.used[plan.lane_access.tensor], line.dtype.itemsize
    at = operand.ctypes.data % LINE_BYTES if isinstance(operand, np.ndarray) else 0
    at -= at % itemsize
    return at, (at // itemsize - made.numbers["lying_before"]) % (shape.vector_bytes // itemsize)


def kept(
    line: Line, plan: TilePlan, made: Geometry, shape: TileShape, residue: int
) -> Mapping[Key, Array]:
    """The programs of an operand, once for all lengths of a line whose offsets are equal.

    residue : lanes by which vectors begin behind the start of a line of the cache.
    """
    name, build = plan.entries.tensor, partial(_programs, line, plan, made, shape, residue)
    how = "programs", *line.key, shape, made.strides, made.span, made.blocks, made.row, residue
    return line.laid_out(name, how, build)


def _programs(
    line: Line, plan: TilePlan, made: Geometry, shape: TileShape, residue: int
) -> dict[Key, Array]:
    """The entries of an operand in groups, and as machine code."""
    operand = line.used[plan.entries.tensor]
    lanes = shape.vector_bytes // line.dtype.itemsize
    bias = 0
    if shape.joined > 1:
        bias = held_as(shape.joined, line.signatures[plan.lane_access.tensor].dtype)[1]
    packed = unrolled.pack_unrolled(plan, operand, line.extents, made, shape, lanes, bias)
    code, starts = unrolled.machine_code(
        packed.first,
        packed.member,
        packed.offset,
        packed.shift,
        turn=made.numbers["row_blocks"],
        groups=made.numbers["groups"],
        members=shape.members,
        rows=made.numbers["rows"],
        dtype=line.dtype.name,
        joined=shape.joined,
        bias=bias,
        residue=residue,
        span=0 if plan.panels else made.span // shape.joined,
        elsewhere=shape.lying,
    )
    return {
        ("code",): code,
        ("starts",): starts,
        ("first",): packed.first,
        ("member",): packed.member,
        ("offset",): packed.offset,
        ("packed",): on_large_pages(packed.values.astype(line.dtype, copy=False)),
        ("shift",): packed.shift,
    }
