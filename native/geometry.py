"""Sizes of the tiled schedule for given extents: where each lane lies, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import TileShape, tiles_of

STRIP_BYTES = 2**18
"""Of a strip of the line in machine code: its sums, which stay in the second-level cache from block
to block, and until they are copied into the result; or the lanes of a block of its panel."""

FEWEST_TILES = 16
"""Vectors of a strip, for each of which the code of all programs is fetched once."""

SLACK = 64
"""Elements behind the staged copy: a vector that starts at its last element stays inside."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the staged line for given extents.

    numbers : every integer that the kernel is handed beyond extents, by name.
    strides : what a step along each axis of the lanes' operand adds to an offset, as
        (per row, per phase).
    blocks, span : blocks of the staged copy, and how far offsets reach in each.
    starts : places where the columns of one pattern of some rows, in one block, start.
    """

    numbers: dict[str, int]
    strides: tuple[tuple[int, int], ...]
    staged_elements: int
    panel_elements: int
    row_elements: int
    blocks: int
    span: int
    starts: int

    @property
    def offset_dtype(self) -> str:
        """uint16 where every offset fits, as cache lines of offsets cost as much as values."""
        if self.span <= 2**16:
            return "uint16"
        return "int32" if self.span <= 2**31 else "int64"


def line_of_lanes(plan: TilePlan, extents: Extents) -> int:
    """Lanes of the staged line, those between the rows of the result included."""
    if any(extents.ranks[r] == 0 for r in plan.lanes):
        return 0
    return sum((extents.ranks[r] - 1) * pitch for r, pitch in _pitches(plan, extents).items()) + 1


def reach_of(plan: TilePlan, extents: Extents, tile: int) -> float:
    """Elements that a tile of so many lanes reads for each summed place: with windows, places that
    differ by a window's share most of them."""
    padded, pitches = _padded(plan, extents), _pitches(plan, extents)
    lane_axes = [a for a in plan.axes if a.rank is not None]
    plane = prod(max(-(-padded[a.axis] // a.stride), 1) for a in lane_axes)
    line = line_of_lanes(plan, extents) if pitches else 0
    phases = prod(a.stride for a in lane_axes)
    planes = prod(max(padded[a.axis], 1) for a in plan.axes if a.rank is None)
    summed = prod(extents.ranks[rank] for rank in plan.term.ranks)
    return planes * phases * min(plane, plane - line + tile) / max(summed, 1)


def geometry(plan: TilePlan, extents: Extents, shape: TileShape, itemsize: int) -> Geometry:
    """Lay the staged copy out: summed axes, then phases, then the lane axes innermost."""
    access = plan.lane_access
    source_shape, padded = extents.shapes[access.tensor], _padded(plan, extents)
    pitches = _pitches(plan, extents)
    row = {a.axis: pitches[a.rank] for a in plan.axes if a.rank is not None}
    phase: dict[int, int] = {}
    step = max(prod(max(-(-padded[a.axis] // a.stride), 1) for a in plan.axes if a.rank), 1)
    for axis in reversed(plan.axes):
        if axis.rank is not None and axis.stride > 1:
            phase[axis.axis] = step
            step *= axis.stride
    plane, places = step, 1
    for axis in reversed(plan.axes):
        if axis.rank is None:
            row[axis.axis] = places * plane
            places *= max(padded[axis.axis], 1)
    unit = plane if plan.panels else 1
    summed = prod(extents.ranks[rank] for rank in plan.term.ranks)
    per_block = max(shape.block * places // max(summed, 1), 1) if shape.block else places
    per_block = -(-places // -(-places // per_block)) if places else 1  # as even as they come
    lanes = shape.vector_bytes // itemsize
    line = line_of_lanes(plan, extents)
    tiles = tiles_of(-(-line // lanes), shape.most)[0] if line else 0
    rows = prod(extents.ranks[r] for r in plan.rows)
    strip = tiles
    if shape.unrolled:
        held = max(rows, per_block if plan.panels else 1) * shape.vector_bytes
        most = max(STRIP_BYTES // max(held, 1), FEWEST_TILES)
        strip = -(-tiles // -(-tiles // most)) if tiles else 1  # as even as they come
    row_pitch = shape.most * lanes * (strip if shape.unrolled else 1)
    row_blocks = -(-rows // shape.rows)
    numbers = {f"pitch_{rank}": pitch for rank, pitch in pitches.items()}
    source = 1
    for k in reversed(range(len(source_shape))):
        numbers[f"source_extent{k}"] = source_shape[k]
        numbers[f"source_stride{k}"] = source
        numbers[f"row_stride{k}"] = row[k]
        numbers[f"phase_stride{k}"] = phase.get(k, 0)
        source *= source_shape[k]
    numbers |= {
        "places": places if source else 0,
        "line": line,
        "panel_size": 0,
        "line_tiles": tiles,
        "row_pitch": row_pitch,
        "rows": rows,
        "row_blocks": row_blocks,
        "blocks": -(-places // per_block),
        "block_span": per_block * plane // unit,
    }
    if plan.panels and shape.panel:
        held = strip * per_block if shape.unrolled else places
        numbers["panel_size"] = held * shape.most * lanes
    if shape.unrolled:
        numbers |= {
            "program_rows": shape.rows,
            "members": shape.members,
            "groups": shape.rows // shape.members,
            "strip_tiles": strip,
            "sums_size": row_blocks * shape.rows * row_pitch,
        }
    for axis in plan.axes:
        row[axis.axis] //= unit if axis.rank is None else 1
    return Geometry(
        numbers,
        tuple((row[k], phase.get(k, 0)) for k in range(len(plan.axes))),
        places * plane + SLACK,
        numbers["panel_size"],
        row_blocks * shape.rows * row_pitch + SLACK,
        numbers["blocks"],
        numbers["block_span"],
        row_blocks * numbers["blocks"] * _starts_of(shape),
    )


def _starts_of(shape: TileShape) -> int:
    """Places where columns start, for rows that go together in one block."""
    return shape.rows // shape.members if shape.unrolled else 2**shape.rows - 1


def _padded(plan: TilePlan, extents: Extents) -> list[int]:
    """Lengths of the axes of the lanes' operand, padding included."""
    name = plan.lane_access.tensor
    pairs = zip(extents.shapes[name], extents.pads[name], strict=True)
    return [n + lo + hi for n, (lo, hi) in pairs]


def _pitches(plan: TilePlan, extents: Extents) -> dict[str, int]:
    """Lanes that a step of each lane rank moves."""
    padded, step = _padded(plan, extents), 1
    by_rank = {a.rank: a for a in plan.axes if a.rank is not None}
    found = {}
    for rank in reversed(plan.lanes):
        axis = by_rank[rank]
        found[rank] = step
        step *= max(-(-padded[axis.axis] // axis.stride), 1)
    return found
