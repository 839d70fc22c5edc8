"""The tiled schedule of a bound operand whose entries are machine code, an instruction each.

The format is ``k1:U m1:U m2:U e:C(unordered)``: blocks of summed places, programs and groups of
rows, and the entries of a group by the place that they meet, so that a vector is loaded once for
all of a place.  `c/zs_unroll.c` writes a program's entries out as instructions, in which positions
are no longer data; a kernel runs it for each vector of the line.  Where the processor or the system
does not take such code, the kernel walks the same entries.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.crop import ROWS_TURNED, crop_rows, crop_turned, is_turned
from zeroskip.native.domains import Range
from zeroskip.native.geometry import Geometry, shifts_of
from zeroskip.native.integers import (
    ONE,
    ZERO,
    Cond,
    Const,
    Expr,
    Name,
    Pick,
    add,
    ceildiv,
    least,
    mod,
    mul,
    sub,
)
from zeroskip.native.joined import held_as, words_of
from zeroskip.native.lower import Lowered, finish
from zeroskip.native.lying import ends_staged, lying
from zeroskip.native.nest import Guard, Loop, Stmt
from zeroskip.native.nest_tiles import Share, Stage, StageAxis, Unrolled
from zeroskip.native.on_line import lanes_on_line, steps_of
from zeroskip.native.operand import Signature
from zeroskip.native.packing import entries_of
from zeroskip.native.patterns import starts
from zeroskip.native.routines import run
from zeroskip.native.scheme import Scheme
from zeroskip.native.scratch import pages
from zeroskip.native.sums import Sums
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import TileShape
from zeroskip.native.vectors import joins
from zeroskip.records import dataclass

FEWEST_VECTORS = 3
"""Vectors of a line from which code is run often enough for each time that it is fetched."""

FROM, FROM_MASKED, MOST_ENTRIES = 0.04, 0.008, 5_000_000
"""Density from which a place is met often enough by the rows of a group, earlier where code has no
halo to compute and tiles have; and entries up to which code (8 to 13 bytes each), asked for ahead,
comes fast enough.  Found by timing both schedules, densities on one machine (Sapphire Rapids;
masked rows on Zen 4), entries on another (Granite Rapids: of so many, in lines of four vectors,
code was still the faster); no command of the repository finds them again, and a wrong one costs
time."""

FEWEST_ROWS = 8
"""Rows of a result below which a load serves too few entries."""

CODED = ("float32", "float64")
"""Types whose multiply-adds the code is made of."""

REACH_BYTES = 2**31 - 2**16
"""How far the offsets in code reach."""


@dataclass(frozen=True, slots=True)
class Program:
    """Entries by block, group of rows, place and row.

    first : where the entries of each group start, and the end.  member, offset, values : of each
        entry its row in the group, the place of its first lane in the source, in elements, and its
        value; where lanes join places, an entry is a word of several values (`joined.Words`).
    shift : which of the masks of a vector tell the lanes that it meets, counted from 1; 0 for all
        of them.
    """

    first: Array
    member: Array
    offset: Array
    values: Array
    shift: Array


def pays(line_vectors: int, rows: int, entries: int, density: float, masked: bool) -> bool:
    """Whether machine code is worth it for so many entries, in a line of so many vectors."""
    few = line_vectors < FEWEST_VECTORS or rows < FEWEST_ROWS
    least = FROM_MASKED if masked else FROM
    return not few and density >= least and entries <= MOST_ENTRIES


def pack_unrolled(
    plan: TilePlan,
    operand: Operand,
    extents: Extents,
    geometry: Geometry,
    shape: TileShape,
    lanes: int,
    bias: int = 0,
) -> Program:
    """Order the entries; lanes : of a vector.  bias : what joined values are kept larger by."""
    rows, offset, values = entries_of(plan, operand, extents, geometry)
    per_block = geometry.numbers["row_blocks"] * (shape.rows // shape.members)
    block, at = np.divmod(offset.astype(np.int64), geometry.span or 1)
    group, member = np.divmod(rows.astype(np.int64), shape.members)
    group += block * per_block
    if shape.joined > 1:
        words = words_of(group, member, at, values, shape.joined, geometry.plane, bias)
        group, member, at = words.group, words.member, words.at
        values = words.word.astype(np.uint32).view(np.int32)
    order = np.argsort((group * (geometry.span + 1) + at + 1) * shape.members + member)
    shift = np.zeros(len(at), np.uint8)
    met = at >= 0
    if shape.masked:
        shift[met] = _masks_by_shift(plan, extents, geometry)[at[met] % geometry.row]
    at[met] *= lanes if plan.panels else 1
    return Program(
        starts(group[order], per_block * geometry.blocks),
        member[order].astype(np.uint8),
        at[order].astype(np.int32),
        np.ascontiguousarray(values[order]),
        shift[order],
    )


def _masks_by_shift(plan: TilePlan, extents: Extents, geometry: Geometry) -> Array:
    """Of each shift along a row of the line the number of its mask."""
    numbers = np.zeros(geometry.row, np.uint8)
    for k, shift in enumerate(shifts_of(plan, extents) or (), 1):
        numbers[shift] = k
    return numbers


# ---- machine code -----------------------------------------------------------------------


@cache
def available(joined: int = 1) -> bool:
    """Whether this processor and this system run code that a process has written, in which a lane
    joins so many places."""
    code, _ = machine_code(
        np.array([0, 1]),
        np.zeros(1, np.uint8),
        np.zeros(1, np.int32),
        np.zeros(1, np.uint8),
        turn=1,
        groups=1,
        members=1,
        rows=1,
        dtype="float32" if joined == 1 else "int32",
        joined=joined,
    )
    return len(code) > 0


def machine_code(
    first: Array,
    member: Array,
    offset: Array,
    shift: Array,
    *,
    turn: int,
    groups: int,
    members: int,
    rows: int,
    dtype: str,
    joined: int = 1,
    bias: int = 0,
    residue: int = -1,
    span: int = 0,
    elsewhere: bool = False,
) -> tuple[Array, Array]:
    """The code of each program, and where it starts; empty, and zeros, where it cannot be run.

    turn : programs of a block of all rows; groups : of a program; members : most rows of one;
    rows : of a block; dtype : of values and sums, of which `CODED` have code, and int32 where a
    lane joins several places; bias : what joined values are kept larger by.
    residue, span : lanes by which offsets of the first block count from behind the start of a line
        of the cache, -1 where that is not known, and from there to those of the next block.
    elsewhere : whether the programs come once more, for vectors of which that is not known.
    """
    programs = (len(first) - 1) // groups
    copies = 2 if elsewhere else 1
    begin, none = np.zeros(copies * programs + 1, np.int64), np.zeros(0, np.uint8)
    absent = none, np.zeros_like(begin)
    coded = dtype in CODED if joined == 1 else joins()
    if not hasattr(mmap, "MAP_ANONYMOUS") or not coded:
        return absent
    shifts = int(shift.max(initial=0))
    dims = [0, programs, turn, groups, members, rows, np.dtype(dtype).itemsize, shifts]
    dims += [joined, bias, residue, span, int(elsewhere)]
    package, name = "zeroskip.native", "zs_unroll.c"
    if not run(package, name, "zs_unroll", [none, begin, first, member, offset, shift], dims):
        return absent
    size = int(begin[-1])
    if not size:
        return absent
    try:
        code = pages(size)
    except OSError:  # no room: entries are walked where they lie
        return absent
    arrays = [code, begin, first, member, offset, shift]
    run(package, name, "zs_unroll", arrays, [size, *dims[1:]])
    sealed = np.zeros(1, np.int64)
    run(package, name, "zs_seal", [code, sealed], [len(code)])
    if not sealed[0]:
        return absent
    code.flags.writeable = False
    return code, begin


# ---- the kernel -------------------------------------------------------------------------


def lower_unrolled(
    plan: TilePlan,
    signatures: Mapping[str, Signature],
    dtype: str,
    shape: TileShape,
    direct: bool,
    own: bool,
) -> Lowered:
    """Loop nest of programs against the line; its integers come from `geometry`.

    direct : whether the rows of lanes are those of the result, as it lies.
    own : whether each part of a call stages the line for itself.
    """
    scheme = Scheme(plan.form, signatures, dtype)
    sums, fresh, number = Sums(scheme), scheme.names.fresh, scheme.number
    joined, lane_dtype = shape.joined, signatures[plan.lane_access.tensor].dtype
    held_dtype, bias = (dtype, 0) if joined == 1 else held_as(joined, lane_dtype)
    if shape.lying:
        source, staging = ends_staged(plan, scheme)
    else:
        source, staging = lanes_on_line(plan, scheme, plan.panels, shape.masked, joined)
    entries = plan.entries.tensor
    block, program, member = (fresh(n) for n in ("block", "program", "member"))
    lo, hi, part, strip = (fresh(n) for n in ("lo", "hi", "part", "strip"))
    own_first, own_end = fresh("first"), fresh("end")
    lanes = Const(shape.vector_bytes // np.dtype(dtype).itemsize)
    span, line = number("block_span"), number("line")
    past: Expr = mul(Name(block), span) if shape.block else ZERO
    first = add(Name(lo), mul(Name(strip), number("strip_tiles")))
    tiles = least(number("strip_tiles"), sub(Name(hi), first))
    x, width = mul(first, lanes), mul(tiles, lanes)
    copy = mul(Name(part), number("staged_size")) if own else ZERO
    each = Const(joined)  # elements of a lane
    at: Expr = add(copy, past, mul(x, each))
    step: Expr = mul(lanes, each)
    panel: tuple[Stmt, ...] = ()
    if plan.panels:
        name = f"{plan.lane_access.tensor}_panel"
        held = scheme.buffer(("panel",), name, held_dtype, written=True)
        into = mul(Name(part), number("panel_size"))
        panel = _panel(plan, held, source, scheme, past, x, into, tiles, lanes, joined)
        source, at, step = held, into, mul(number("panel_places"), step)
    direct = direct and scheme.stored == dtype
    result, pitch, row_0 = sums.result, line, x
    if not direct:
        result = scheme.buffer(("rows",), "row_sums", dtype, written=True)
        pitch, row_0 = number("row_pitch"), mul(Name(part), number("sums_size"))
    first_row = mul(Name(program), number("program_rows"))
    rows = sub(number("rows"), first_row)
    turn: Expr = ZERO
    next_turn: Expr = ZERO
    if shape.block:
        turn = mul(Name(block), number("row_blocks"))
        next_turn = mul(mod(add(Name(block), ONE), number("blocks")), number("row_blocks"))
    more = Cond("<", add(Name(program), ONE), Name(own_end))
    body: tuple[Stmt, ...] = (
        Unrolled(
            add(turn, Name(program)),
            Pick((more,), add(turn, Name(program), ONE), add(next_turn, Name(own_first))),
            rows,
            number("groups"),
            number("members"),
            scheme.buffer(("code",), f"{entries}_code", "uint8"),
            scheme.buffer(("starts",), f"{entries}_starts", "int64"),
            scheme.buffer(("first",), f"{entries}_first", "int64"),
            scheme.buffer(("member",), f"{entries}_member", "uint8"),
            scheme.buffer(("offset",), f"{entries}_offset", "int32"),
            scheme.buffer(("packed",), f"{entries}_packed", dtype),
            scheme.buffer(("shift",), f"{entries}_shift", "uint8") if shape.masked else "",
            scheme.buffer(("masks",), "masks", "uint16") if shape.masked else "",
            first,
            source,
            at,
            step,
            result,
            add(mul(first_row, pitch), row_0),
            pitch,
            least(sub(line, x), width) if direct else width,
            Name(block) if shape.block else ZERO,
            lying(plan, scheme, add(past, x)) if shape.lying else None,
            joined,
            bias,
        ),
    )
    cropped: tuple[Stmt, ...] = ()
    turned = is_turned(plan) and not direct
    if turned:
        program_rows, chunk = number("program_rows"), fresh("chunk")
        first_of, end_of = mul(Name(own_first), program_rows), mul(Name(own_end), program_rows)
        row = add(first_of, mul(Name(chunk), Const(ROWS_TURNED)))
        end_of = least(number("rows"), end_of)
        past_row = least(end_of, add(row, Const(ROWS_TURNED)))
        sums_at, own_copy = (result, row_0), Name(part)
        body_of = crop_turned(plan, scheme, sums, sums_at, row, past_row, x, width, own_copy)
        cropped = (
            Loop(chunk, Range(ZERO, ceildiv(sub(end_of, first_of), Const(ROWS_TURNED))), body_of),
        )
    elif not direct or plan.late or plan.form.post is not None:
        row, held_in = add(first_row, Name(member)), None if direct else (result, row_0)
        over = Range(ZERO, least(number("program_rows"), rows))
        cropped = (Loop(member, over, crop_rows(plan, scheme, sums, held_in, row, x, width)),)
    if shape.block and cropped:
        last = Cond("==", Name(block), sub(number("blocks"), ONE))
        cropped = (Guard((last,), cropped),)
    if not turned:
        body = (*body, *cropped)
    nest: tuple[Stmt, ...] = (
        *panel,
        Loop(program, Range(Name(own_first), Name(own_end)), body),
        *(cropped if turned else ()),
    )
    if shape.block:
        nest = (Loop(block, Range(ZERO, number("blocks")), nest),)
    strips = ceildiv(sub(Name(hi), Name(lo)), number("strip_tiles"))
    nest = (Loop(strip, Range(ZERO, strips), nest),)
    if own:
        copies = (replace(one, par=False, into=add(copy, one.into)) for one in staging)
        staging, nest = (), (*copies, *nest)
    own_part = part if own or plan.panels or not direct else ""
    programs = number("line_tiles"), number("row_blocks")
    share = Share(lo, hi, own_first, own_end, own_part, *programs, nest)
    return finish(scheme, sums.title(), (*staging, share), shape.vector_bytes)


def _panel(
    plan: TilePlan,
    panel: str,
    source: str,
    scheme: Scheme,
    past: Expr,
    x: Expr,
    into: Expr,
    tiles: Expr,
    lanes: Expr,
    joined: int,
) -> tuple[Stmt, ...]:
    """The lanes of some tiles of a block, tile by tile those of each place together, in the panel
    of the part: read in the order in which they lie, by whole vectors; but tile by tile, and lanes
    one by one, where they become another type on the way.  Tiles are a place more than a block
    apart, so that what is written does not meet in a few sets of the cache."""
    number = scheme.number
    each, span, apart = Const(joined), number("block_span"), number("panel_places")
    place, of_lane = steps_of(plan, number)
    extent, side = least(span, sub(number("places"), past)), ONE if joined > 1 else ZERO
    places = StageAxis(extent, ZERO, joined, place, side, mul(lanes, each))
    start, there = add(mul(past, place), mul(x, of_lane)), sub(number("line"), x)
    dtype = scheme.signatures[plan.lane_access.tensor].dtype
    bias = 0 if joined == 1 else held_as(joined, dtype)[1]
    same = joined > 1 or dtype == scheme.dtype
    if not plan.across and (not plan.in_place or same):
        row = StageAxis(tiles, ZERO, 1, lanes, ZERO, mul(apart, lanes, each))
        axes = places, row, StageAxis(lanes, ZERO, 1, ONE, ZERO, each)
        return (Stage(panel, source, axes, start, into, there=there, bias=bias),)
    tile = Name(scheme.names.fresh("tile"))
    first = mul(tile, lanes)
    lane = StageAxis(least(lanes, sub(there, first)), ZERO, 1, of_lane, ZERO, each)
    to = add(into, mul(tile, apart, lanes, each))
    copied = Stage(panel, source, (places, lane), add(start, mul(first, of_lane)), to, bias=bias)
    return (Loop(tile.name, Range(ZERO, tiles), (copied,)),)
