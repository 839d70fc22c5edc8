"""How the lane schedule cuts a line up, and what its kernel is handed beside the operands."""

from __future__ import annotations

from functools import partial
from math import prod

from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native import cuts, lane_layout, lanes
from zeroskip.native.arguments import Array, densify
from zeroskip.native.geometry import SLACK
from zeroskip.native.lines import Line
from zeroskip.native.scheme import Key
from zeroskip.native.scratch import IN_PARTS, aligned_zeros
from zeroskip.native.slides import MOST_MEMBERS, Sliding
from zeroskip.native.tile_shape import WIDE, tiles_of
from zeroskip.native.unfit import refused
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class LaneShape:
    """plan : with windows that slide, where they do; vectors : how many vectors a tile may have, of
    which none has more than ``most``; block : coordinates of a block in which fibers are followed,
    0 for all; taps : places of a window that slides, else 0."""

    plan: lanes.LanePlan
    most: int
    vectors: tuple[int, ...]
    block: int
    taps: int


def lane_shape(line: Line, plan: lanes.LanePlan, width: int) -> LaneShape:
    """The shape for vectors of so many bytes, as far as it is fixed; else as it pays."""
    per_vector, most, taps = width // line.dtype.itemsize, lanes.MOST_VECTORS, 0
    slid = plan.slid
    if slid is not None and slid.sliding is not None:
        taps = _taps(line, slid.sliding)
        if taps:
            plan, near = slid, 0
            if slid.cut is not None:
                row = line.extents.ranks[slid.cut.rank] * taps * width
                near = cuts.FITS // max(row, 1)
            most = slid.sliding.vectors(taps, width >= WIDE, near)
    vectors = tiles_of(-(-line.extents.ranks[plan.rank] // per_vector), most)[1] or (1,)
    block = _block(line, plan, width * max(vectors), max(taps, 1))
    return LaneShape(plan, most, vectors, block, taps)


def _taps(line: Line, of: Sliding) -> int:
    """Places of the windows that slide; 0 where no two places of the result share a fiber, or too
    many would be held at once."""
    taps, places = line.extents.ranks[of.window], line.extents.ranks[of.rank]
    members = of.members(taps) if taps else 0
    return taps if 2 <= members <= MOST_MEMBERS and places > 1 else 0


def _block(line: Line, plan: lanes.LanePlan, tile_bytes: int, taps: int) -> int:
    wanted = line.fixed.block if line.fixed.wanted == "lanes" else None
    if plan.cut is None:
        if wanted:
            why = "expected 0: only fibers of one rank that are found by windows are cut"
            raise refused(line, f"block={wanted}: {why}")
        return 0
    extent, operand = line.extents.ranks[plan.cut.rank], line.used[plan.cut.access.tensor]
    assert isinstance(operand, Tensor), "an array has no fibers"
    if wanted is not None:
        return wanted if wanted < extent else 0
    weights = sum(prod(line.extents.shapes[one.tensor]) for one in plan.cut.brought)
    return cuts.block_of(
        extent,
        tile_bytes * taps,
        operand.stored / max(operand.size, 1),
        prod(line.extents.ranks[row] for row in plan.rows),
        weights * line.dtype.itemsize,
        operand.levels[-1].spec.letter,
        taps,
    )


def scratch_of(line: Line, width: int, shape: LaneShape) -> tuple[dict[Key, Array], dict[str, int]]:
    """The kernel's own arrays, and its integers.

    Raises RoomError where there is no memory for them.
    """
    plan, itemsize, most = shape.plan, line.dtype.itemsize, shape.most
    numbers = lane_layout.numbers(plan, line.extents, width // itemsize, most)
    sums = prod(line.extents.ranks[rank] for rank in plan.rows) * numbers["row_pitch"]
    sizes = {
        access.tensor: numbers[f"{access.tensor}_places"] * numbers["row_pitch"] + SLACK
        for access in plan.staged
    }
    check_room(sums + sum(sizes.values()), itemsize, f"the workspace for {line.name}", IN_PARTS)
    arrays: dict[Key, Array] = {("rows",): aligned_zeros(sums, line.dtype)}
    for access in plan.staged:
        tensor, how = access.tensor, (plan.axes(access), width // itemsize, most)
        if line.keeps(tensor):
            dense = densify(line.used[tensor]).astype(line.dtype, copy=False)
            laid_out = partial(lane_layout.laid_out, dense, *how)
            arrays["staged", tensor] = line.laid_out(tensor, how, laid_out)
        else:
            arrays["staged", tensor] = aligned_zeros(sizes[tensor], line.dtype)
    if shape.block:
        assert plan.cut is not None
        signature = line.signatures[plan.cut.access.tensor]
        tile_bytes = width * max(shape.vectors) * max(shape.taps, 1)
        numbers |= cuts.numbers(
            plan.cut, signature, line.extents, plan.rows, shape.block, tile_bytes, itemsize
        )
        arrays |= cuts.arrays(plan.cut, signature, numbers)
    return arrays, numbers
