"""Which of the four schedules a line runs under, and its kernel with the slots filled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from math import prod

import numpy as np

from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native import (
    column_shape,
    columns,
    crop,
    dots,
    lanes,
    load,
    programs,
    settings,
    tile,
    unrolled,
)
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.cutting import shape_in, width_of
from zeroskip.native.fixed import Schedule
from zeroskip.native.geometry import Geometry, geometry, masks_of
from zeroskip.native.joined import held_as, staged_as
from zeroskip.native.lane_shape import lane_shape, scratch_of
from zeroskip.native.lines import Line
from zeroskip.native.lower import lower
from zeroskip.native.on_line import is_staged
from zeroskip.native.packing import Packer
from zeroskip.native.prepared import Prepared, Slots, remember, slots
from zeroskip.native.recent import Recent
from zeroskip.native.scheme import Key
from zeroskip.native.scratch import IN_PARTS, aligned_full, aligned_zeros, on_large_pages
from zeroskip.native.tile_shape import TileShape
from zeroskip.native.unfit import refused, why_unfit

WORTH_TILING = 2**14
"""Multiplications below which packing the entries costs more than the plain loops do."""

WORTH_ORDERING = 256
"""Lanes from which entries that come in another order than rows are worth ordering at each call:
that takes some 30 ns an entry, and a walk in lanes, which puts sums down and takes them up, about
twice as long as tiles for each vector.  By one machine (Granite Rapids); no command of the
repository finds it again."""

REUSE = 1
"""Multiplications for each staged element, up to which staging costs more than it saves: a dense
matrix times one vector uses each of its elements once."""

WHOLE = "Leave rows and block to be chosen, which cut few entries into as many groups."

Plan = tile.TilePlan | lanes.LanePlan | dots.DotPlan | None
"""None is the plain walk."""


def schedule_of(line: Line, bound: Collection[str] = ()) -> Plan:
    """The schedule that is asked for, else the one that pays: tiled, lanes, dots, or the plain
    walk; this one where the order is given.

    bound : operands that are packed once for many calls.
    Raises KernelError where the line cannot take what is asked for.
    """
    if line.fixed.wanted is not None:
        return _wanted(line, line.fixed.wanted)
    found = _worth(line, bound)
    if found is None and line.fixed.vector_bytes is not None:
        why = f"the default here is a plain walk, which has no vectors: {why_plain(line)}"
        raise refused(line, why)
    return found


def _worth(line: Line, bound: Collection[str]) -> Plan:
    """The schedule that pays."""
    if line.order:
        return None
    plans = plans_of(line)
    tiles = plans.tiles
    if tiles is None:
        return lanes.longest(plans.in_lanes, line.extents) or _worth_sharing(line, plans)
    entries = line.used[tiles.entries.tensor]
    work = entries.size if isinstance(entries, np.ndarray) else entries.stored
    work *= prod(line.extents.ranks[rank] for rank in tiles.lanes)
    if work <= REUSE * prod(line.extents.shapes[tiles.lane_access.tensor]):
        found = _kept_in_lanes(line, plans) or _worth_sharing(line, plans)
        strided = tiles.across and tiles.entries.tensor in bound
        strided |= tiles.in_place and isinstance(entries, np.ndarray)
        if found is not None or not strided:
            return found
        return tiles  # a plain walk would take each element from a line of memory of its own
    if tiles.entries.tensor not in bound:
        if work < WORTH_TILING:
            return _worth_sharing(line, plans)
        if isinstance(entries, Tensor) and not tile.comes_by_rows(tiles, entries):
            few = lanes.longest(plans.in_lanes, line.extents)
            if few is not None and line.extents.ranks[few.rank] <= WORTH_ORDERING:
                return few
    return tiles


def _kept_in_lanes(line: Line, plans: Plans) -> lanes.LanePlan | None:
    """The lanes schedule, where what it lays out stays so for many calls."""
    found = lanes.longest(plans.in_lanes, line.extents)
    if found is None or not all(line.keeps(access.tensor) for access in found.staged):
        return None
    return found


def _worth_sharing(line: Line, plans: Plans) -> dots.DotPlan | None:
    """The dots schedule, where fibers are long enough for it."""
    found = plans.shared
    if found is None:
        return None
    extents = line.extents.ranks
    return found if dots.worth(found, line.used, extents, width_of(line), line.dtype) else None


def _wanted(line: Line, kind: str) -> Plan:
    """The schedule of a kind; KernelError where the line cannot run under it."""
    if kind == "plain":
        return None
    found: Plan = None
    if not line.order:
        plans = plans_of(line)
        longest = lanes.longest(plans.in_lanes, line.extents, fewest=0)
        found = {"tiled": plans.tiles, "lanes": longest, "dots": plans.shared}[kind]
    if found is None:
        raise refused(line, f"expected one that the line can take: {why_unfit(line, kind)}")
    return found


def only_plain(line: Line, why: str) -> None:
    """Refuse every schedule but the plain walk."""
    if line.fixed.wanted not in (None, "plain") or line.fixed.vector_bytes is not None:
        raise refused(line, f"expected a plain schedule: {why}")


def why_plain(line: Line) -> str:
    """Why a line is walked as it lies."""
    if line.order:
        return f"in the order {','.join(line.order)}."
    tiles, shared = plans_of(line).tiles, plans_of(line).shared
    if shared is not None and (shared.tensors or tiles is None):
        of = f"fibers of {', '.join(shared.tensors)}" if shared.tensors else "sums"
        return f"{of} are too short for vectors to share."
    if tiles is not None:
        return (
            f"for fewer than {WORTH_TILING:,} multiplications, or no more than {REUSE} for each "
            f"element of {tiles.lane_access.tensor}, packing and copying cost more than they save."
        )
    return why_unfit(line)


class Plans:
    """The schedules of a line, each planned when it is first asked for: most lines need one."""

    def __init__(self, line: Line) -> None:
        self._what = line.form, line.signatures, line.dtype.name

    @cached_property
    def tiles(self) -> tile.TilePlan | None:
        return tile.plan(*self._what)

    @cached_property
    def in_lanes(self) -> tuple[lanes.LanePlan, ...]:
        return lanes.plans(*self._what)

    @cached_property
    def shared(self) -> dots.DotPlan | None:
        return dots.plan(*self._what)


_planned: Recent[Key, Plans] = Recent(load.MOST_KERNELS)


def plans_of(line: Line) -> Plans:
    """The schedules that lines like this one can have."""
    found = _planned.get(line.key)
    return _planned.keep(line.key, Plans(line)) if found is None else found


def kernel_of(
    line: Line, schedule: Plan, target: Array, bound: Collection[str] = ()
) -> tuple[Prepared, Slots]:
    """The kernel of a line under a schedule, with its slots filled.

    bound : operands that are packed once for many calls.
    """
    match schedule:
        case tile.TilePlan():
            shape = shape_in(line, schedule, bound)
            return tiled(line, schedule, target, shape)
        case lanes.LanePlan():
            return in_lanes(line, schedule, target)
        case dots.DotPlan():
            return plain(line, target, width=width_of(line))
        case None:
            return plain(line, target)


def plain(
    line: Line, target: Array, *, accumulate: bool = False, width: int = 0
) -> tuple[Prepared, Slots]:
    """The kernel that walks the operands' own levels; with dots, in vectors of so many bytes."""
    prepared = walk(line, accumulate=accumulate, width=width)
    arrays = targets(line, prepared, target)
    return prepared, filled(line, prepared, arrays, {})


def filled(
    line: Line, prepared: Prepared, arrays: Mapping[Key, Array], numbers: Mapping[str, int]
) -> Slots:
    """The slots of a line's kernel, for no more threads than are fixed."""
    found = slots(line.form, prepared, line.used, line.extents, arrays, numbers)
    most = line.fixed.threads
    return found if most is None else replace(found, parts=min(found.parts, most))


def targets(line: Line, prepared: Prepared, target: Array) -> dict[Key, Array]:
    """The result, and what a plain walk keeps for each place of it."""
    arrays: dict[Key, Array] = {("vals", line.name): target}
    byte, whole = np.dtype(np.uint8), np.dtype(np.int64)
    for key, dtype in (("mark", byte), ("visits", whole), ("sums", line.dtype)):
        if (key, line.name) in prepared.layout.buffers:
            what = key if key == "sums" else "marks"
            check_room(prod(line.shape), dtype.itemsize, f"the {what} of {line.name}", IN_PARTS)
            arrays[key, line.name] = np.empty(line.shape, dtype)
    return arrays


def walk(line: Line, *, hits: bool = False, accumulate: bool = False, width: int = 0) -> Prepared:
    """The plain walk; hits: with marks of what it wrote; width: in dots, bytes of vectors."""
    key = (*line.key, hits, accumulate, width)
    build = partial(
        lower,
        *(line.form, line.signatures, line.dtype.name),
        hits=hits,
        accumulate=accumulate,
        order=line.order,
        vector_bytes=width,
    )
    return remember(key, line.dtype, build)


def in_lanes(line: Line, plan: lanes.LanePlan, target: Array) -> tuple[Prepared, Slots]:
    """The kernel of the lane schedule, its scratch made."""
    width = width_of(line)
    shape = lane_shape(line, plan, width)
    kept = frozenset(a.tensor for a in plan.staged if line.keeps(a.tensor))
    cut, taps = shape.block > 0, shape.taps
    key = ("lanes", plan.rank, width, shape.vectors, cut, taps, *sorted(kept), "of", *line.key)
    what = shape.plan, line.signatures, line.dtype.name
    build = partial(lanes.lower_lanes, *what, width, shape.vectors, kept, cut, taps)
    prepared = remember(key, line.dtype, build)
    arrays, numbers = scratch_of(line, width, shape)
    return prepared, filled(line, prepared, {("vals", line.name): target, **arrays}, numbers)


def tiled(
    line: Line, plan: tile.TilePlan, target: Array, shape: TileShape
) -> tuple[Prepared, Slots]:
    """The kernel of the tiled schedule, its entries packed and its scratch made."""
    made = geometry(plan, line.extents, shape, line.dtype.itemsize)
    in_panel = plan.panels and (shape.panel or shape.unrolled)
    is_copied = is_staged(plan, in_panel)
    if shape.bitmask:
        is_copied = columns.are_staged(plan, line.signatures, line.dtype.name)
    staged = made.staged_elements if is_copied else 0
    threads = settings.current().threads
    staged *= threads if made.own else 1
    rows = 0 if made.direct and line.stored == line.dtype else made.row_elements
    rows *= threads if shape.unrolled else 1
    panels = made.panel_elements * threads
    turned = crop.TURNED_SIZE * threads if crop.is_turned(plan) and rows else 0
    scratch = staged + panels + rows + turned
    check_room(scratch, line.dtype.itemsize, f"the workspace for {line.name}", IN_PARTS)
    starts = np.dtype(np.int64).itemsize
    check_room(made.starts, starts, f"the starts of the packed {plan.entries.tensor}", WHOLE)
    of_lanes = line.signatures[plan.lane_access.tensor].dtype
    computed, joined = line.dtype.name, shape.joined
    copied, bias = staged_as(plan, of_lanes, computed, joined)
    of_panel = computed if joined == 1 else held_as(joined, of_lanes)[0]
    arrays: dict[Key, Array] = {
        ("staged",): aligned_full(staged, np.dtype(copied), bias),
        ("panel",): aligned_zeros(panels, np.dtype(of_panel)),
        ("rows",): aligned_zeros(rows, line.dtype),
        ("turned",): aligned_zeros(turned, line.dtype),
        ("vals", line.name): target,
    }
    what = plan, line.signatures, line.dtype.name
    numbers = dict(made.numbers)
    if shape.unrolled:
        key: Key = ("unrolled", shape.kernel, made.direct, made.own, *line.key)
        build = partial(unrolled.lower_unrolled, *what, shape, made.direct, made.own)
        prepared = remember(key, line.dtype, build)
        at, residue = programs.begins(line, plan, made, shape)
        numbers["lying_residue"] = at
        if residue:
            copies = aligned_full(staged + residue, np.dtype(copied), bias)
            arrays["staged",] = copies[residue:]
        arrays |= programs.kept(line, plan, made, shape, residue)
        if shape.masked:
            per_vector = shape.vector_bytes // line.dtype.itemsize
            masks = masks_of(plan, line.extents, made.numbers["line"], per_vector)
            arrays["masks",] = masks
    elif shape.bitmask:
        key = ("columns", shape.kernel, made.direct, *line.key)
        build = partial(columns.lower_columns, *what, shape, made.direct)
        prepared = remember(key, line.dtype, build)
        arrays |= column_shape.kept(line, plan, made, shape)
    else:
        key = ("tile", shape.kernel, made.offset_dtype, made.direct, *line.key)
        build = partial(tile.lower_tile, *what, shape, made.offset_dtype, made.direct)
        prepared = remember(key, line.dtype, build)
        packed = packer_of(line, plan, made, shape)(line.used[plan.entries.tensor])
        if line.keeps(plan.entries.tensor):
            packed = {key: on_large_pages(array) for key, array in packed.items()}
        arrays |= packed
    found = filled(line, prepared, arrays, numbers)
    return prepared, replace(found, parts=min(found.parts, threads))  # each with its own panel


PACKED: tuple[Key, ...] = (("columns",), ("first",), ("offset",), ("packed",))
"""The arrays of an operand's entries."""

Packs = Callable[[Operand], dict[Key, Array]]
"""Given an operand: the arrays that a kernel has of its entries."""


def packer_of(line: Line, plan: tile.TilePlan, made: Geometry, shape: TileShape) -> Packs:
    """How the tiled schedule packs operands of the shape and format of its entries."""
    pack, dtype = Packer(plan, line.extents, made, shape), line.dtype

    there = line.used[plan.entries.tensor].shape  # without ranks of one place

    def packs(operand: Operand) -> dict[Key, Array]:
        packed = pack(operand.reshape(there) if isinstance(operand, np.ndarray) else operand)
        values = packed.values.astype(dtype, copy=False)
        arrays = packed.columns, packed.first, packed.offset, values
        return dict(zip(PACKED, arrays, strict=True))

    return packs


def packer_at(line: Line, plan: tile.TilePlan, bound: Collection[str] = ()) -> Packs:
    """The same, of the sizes that `kernel_of` has."""
    shape = shape_in(line, plan, bound)
    made = geometry(plan, line.extents, shape, line.dtype.itemsize)
    return packer_of(line, plan, made, shape)


def taken(line: Line, plan: Plan, bound: Collection[str] = ()) -> Schedule:
    """The schedule of a line with every field filled in: given back, it gives the same kernel."""
    match plan:
        case tile.TilePlan():
            shape = shape_in(line, plan, bound)
            width = shape.vector_bytes
            if shape.unrolled:
                return Schedule("tiled", None, None, None, shape.block, True, width)
            if shape.bitmask:
                return Schedule("tiled", block=shape.block, vector_bytes=width, bitmask=True)
            rows, most = shape.rows, shape.most
            return Schedule("tiled", None, rows, most, shape.block, vector_bytes=width)
        case lanes.LanePlan():
            width = width_of(line)
            block = lane_shape(line, plan, width).block
            return Schedule("lanes", block=block, vector_bytes=width)
        case dots.DotPlan():
            return Schedule("dots", vector_bytes=width_of(line))
        case None:
            return Schedule("plain", ",".join(line.order) or None)
