"""Which of the three schedules a line runs under, and its kernel with the slots filled."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

import numpy as np

from zeroskip.formats.level_data import check_room
from zeroskip.native import lanes, load, tile
from zeroskip.native.arguments import Array
from zeroskip.native.emit import emit
from zeroskip.native.geometry import SLACK, geometry, line_of_lanes
from zeroskip.native.lines import Line
from zeroskip.native.lower import lower
from zeroskip.native.packing import pack
from zeroskip.native.prepared import Prepared, Slots, remember, slots
from zeroskip.native.recent import Recent
from zeroskip.native.scheme import Key
from zeroskip.native.tile_shape import TileShape, shape_of
from zeroskip.native.vectors import vector_bytes

WORTH_TILING = 2**14
"""Multiplications below which packing the entries costs more than the plain loops do."""

REUSE = 1
"""Multiplications for each staged element, up to which staging costs more than it saves: a dense
matrix times one vector uses each of its elements once."""

IN_PARTS = "Compute it in parts, or free memory first."

Schedule = tile.TilePlan | lanes.LanePlan | None
"""None is the plain walk."""


def scheduled(line: Line, target: Array, bound: Collection[str] = ()) -> tuple[Prepared, Slots]:
    """The kernel of the schedule that pays, with its slots filled; see `schedule_of`."""
    return kernel_of(line, schedule_of(line, bound), target, bound)


def schedule_of(line: Line, bound: Collection[str] = ()) -> Schedule:
    """The schedule that pays: tiled, lanes, or the plain walk; this one where the order is given.

    bound : operands that are packed once for many calls.
    """
    if line.order:
        return None
    tiles, in_lanes = _plans(line)
    if tiles is None:
        return lanes.longest(in_lanes, line.extents)
    entries = line.used[tiles.entries.tensor]
    work = entries.size if isinstance(entries, np.ndarray) else entries.stored
    work *= prod(line.extents.ranks[rank] for rank in tiles.lanes)
    if work <= REUSE * prod(line.extents.shapes[tiles.lane_access.tensor]):
        return None
    return tiles if tiles.entries.tensor in bound or work >= WORTH_TILING else None


_planned: Recent[Key, tuple[tile.TilePlan | None, tuple[lanes.LanePlan, ...]]]
_planned = Recent(load.MOST_KERNELS)


def _plans(line: Line) -> tuple[tile.TilePlan | None, tuple[lanes.LanePlan, ...]]:
    """The tiled schedule of a line, or else those in lanes."""
    found = _planned.get(line.key)
    if found is None:
        what = line.form, line.signatures, line.dtype.name
        tiles = tile.plan(*what)
        found = _planned.keep(line.key, (tiles, lanes.plans(*what) if tiles is None else ()))
    return found


def kernel_of(
    line: Line, schedule: Schedule, target: Array, bound: Collection[str] = ()
) -> tuple[Prepared, Slots]:
    """The kernel of a line under a schedule, with its slots filled.

    bound : operands that are packed once for many calls.
    """
    match schedule:
        case tile.TilePlan():
            shape = _shape(line, schedule, schedule.entries.tensor in bound)
            return tiled(line, schedule, target, shape)
        case lanes.LanePlan():
            return in_lanes(line, schedule, target)
        case None:
            return plain(line, target)


def plain(line: Line, target: Array, *, accumulate: bool = False) -> tuple[Prepared, Slots]:
    """The kernel that walks the operands' own levels."""
    prepared = walk(line, accumulate=accumulate)
    arrays = targets(line, prepared, target)
    return prepared, slots(prepared, line.used, line.extents, arrays, {})


def targets(line: Line, prepared: Prepared, target: Array) -> dict[Key, Array]:
    """The result, and what a plain walk keeps for each place of it."""
    arrays: dict[Key, Array] = {("vals", line.name): target}
    byte, whole = np.dtype(np.uint8), np.dtype(np.int64)
    for key, dtype in (("mark", byte), ("visits", whole), ("sums", line.dtype)):
        if (key, line.name) in prepared.lowered.buffers:
            what = key if key == "sums" else "marks"
            check_room(prod(line.shape), dtype.itemsize, f"the {what} of {line.name}", IN_PARTS)
            arrays[key, line.name] = np.empty(line.shape, dtype)
    return arrays


def walk(line: Line, *, hits: bool = False, accumulate: bool = False) -> Prepared:
    """The plain walk; ``hits``: with marks of what it wrote."""
    key = (*line.key, hits, accumulate)

    def build() -> Prepared:
        lowered = lower(
            line.form,
            line.signatures,
            line.dtype.name,
            hits=hits,
            accumulate=accumulate,
            order=line.order,
        )
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    return remember(key, build)


def in_lanes(line: Line, plan: lanes.LanePlan, target: Array) -> tuple[Prepared, Slots]:
    """The kernel of the lane schedule, its scratch made."""
    width = vector_bytes()
    key = ("lanes", plan.rank, width, *line.key)

    def build() -> Prepared:
        lowered = lanes.lower_lanes(plan, line.signatures, line.dtype.name, width)
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    numbers = lanes.numbers(plan, line.extents, width // line.dtype.itemsize)
    rows = prod(line.extents.ranks[rank] for rank in plan.rows)
    scratch = rows * numbers["row_pitch"]
    scratch += sum(prod(line.extents.shapes[access.tensor]) for access in plan.staged)
    check_room(scratch, line.dtype.itemsize, f"the workspace for {line.name}", IN_PARTS)
    arrays: dict[Key, Array] = {
        ("rows",): np.empty(rows * numbers["row_pitch"], line.dtype),
        ("vals", line.name): target,
    }
    for access in plan.staged:
        size = prod(line.extents.shapes[access.tensor])
        arrays["staged", access.tensor] = np.zeros(size + SLACK, line.dtype)
    prepared = remember(key, build)
    return prepared, slots(prepared, line.used, line.extents, arrays, numbers)


def tiled(
    line: Line, plan: tile.TilePlan, target: Array, shape: TileShape
) -> tuple[Prepared, Slots]:
    """The kernel of the tiled schedule, its entries packed and its scratch made."""
    made = geometry(plan, line.extents, shape, line.dtype.itemsize)
    key = ("tile", shape.kernel, made.offset_dtype, *line.key)

    def build() -> Prepared:
        lowered = tile.lower_tile(plan, line.signatures, line.dtype.name, shape, made.offset_dtype)
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    staged = 0 if plan.in_place else made.staged_elements
    rows = 0 if plan.direct and line.stored == line.dtype else made.row_elements
    scratch = staged + made.panel_elements + rows
    check_room(scratch, line.dtype.itemsize, f"the workspace for {line.name}", IN_PARTS)
    packed = pack(plan, line.used[plan.entries.tensor], line.extents, made, shape)
    arrays: dict[Key, Array] = {
        ("staged",): np.zeros(staged, line.dtype),
        ("panel",): np.zeros(made.panel_elements, line.dtype),
        ("rows",): np.empty(rows, line.dtype),
        ("columns",): packed.columns,
        ("first",): packed.first,
        ("offset",): packed.offset,
        ("packed",): packed.values.astype(line.dtype, copy=False),
        ("vals", line.name): target,
    }
    prepared = remember(key, build)
    return prepared, slots(prepared, line.used, line.extents, arrays, made.numbers)


def _shape(line: Line, plan: tile.TilePlan, bound: bool) -> TileShape:
    """How the tiled schedule cuts this line up."""
    width = vector_bytes()
    lanes = width // line.dtype.itemsize
    operand = line.used[plan.entries.tensor]
    stored = operand.size if isinstance(operand, np.ndarray) else operand.stored
    return shape_of(
        width,
        -(-line_of_lanes(plan, line.extents) // lanes),
        prod(line.extents.ranks[rank] for rank in plan.rows),
        stored / max(operand.size, 1),
        bound=bound,
    )
