"""Sizes of the tiled schedule for given extents: where each lane lies, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.tree import Var
from zeroskip.einsum_spec.walk import free
from zeroskip.native.arguments import Array
from zeroskip.native.joined import joined_axis
from zeroskip.native.lying import Ends, ends_of
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import TileShape, tiles_of
from zeroskip.records import dataclass

STRIP_BYTES = 2**18
"""Of a strip of the line in machine code: its sums, which stay in the second-level cache from block
to block, and until they are copied into the result; or the lanes of a block of its panel."""

FEWEST_TILES = 16
"""Vectors of a strip, for each of which the code of all programs is fetched once."""

PANEL_BYTES, FEWEST_NEAR = 2**17, 4
"""The same of a panel where code stays near (`TileShape.near`) and a line is some strips: to fetch
it costs less than what a larger panel loses to all that is read meanwhile.  Of 128 to 512 rows and
256 to 1152 places at a density of .1 and lines of 784 lanes, strips of 3 to 7 vectors took up to a
seventh less than of 13 on one machine (Granite Rapids); of more code they took up to a quarter
more.  No command of the repository finds it again; a wrong one costs time."""

ROWS_FAR = 2**20
"""Bytes of a result whose rows may lie beyond the second-level cache (ZS_FAR_BYTES), to which they
come and go faster the more lines of them follow each other: narrow strips took a tenth more."""

OWN_BYTES = 2**19
"""Of a staged line that every part of a call copies for itself: as much as stays in its
second-level cache beside sums.  Memory that another core has written comes from its cache, which
takes longer than to copy all of it; found by timing on one machine (Granite Rapids), and no command
of the repository finds it again."""

MASKS = 6
"""Shifts of a line whose lanes are masked (ZS_MASKS): registers that the rows' mask leaves free."""

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
    row : how far the rows of a line whose lanes are masked lie apart; 0 where none are.
    direct : whether the line of a row is that of the result, as it lies.
    own : whether each part of a call has a staged copy of its own, ``staged_size`` apart.
    plane : by how much offsets of neighbouring places differ, before they are joined.
    """

    numbers: dict[str, int]
    strides: tuple[tuple[int, int], ...]
    staged_elements: int
    panel_elements: int
    row_elements: int
    blocks: int
    span: int
    starts: int
    row: int
    direct: bool
    own: bool
    plane: int

    @property
    def offset_dtype(self) -> str:
        """uint16 where every offset fits, as cache lines of offsets cost as much as values."""
        if self.span <= 2**16:
            return "uint16"
        return "int32" if self.span <= 2**31 else "int64"


def line_of_lanes(plan: TilePlan, extents: Extents, masked: bool = False) -> int:
    """Lanes of the staged line, those between the rows of the result included."""
    if any(extents.ranks[r] == 0 for r in plan.lanes):
        return 0
    pitches = _pitches(plan, _lengths(plan, extents, masked))
    return sum((extents.ranks[r] - 1) * pitch for r, pitch in pitches.items()) + 1


def shifts_of(plan: TilePlan, extents: Extents) -> tuple[int, ...] | None:
    """The shifts of the innermost window that take lanes from another row, where rows may follow
    each other without a halo: of a step of 1, as long in the result as in the source, and shifts
    few enough for masks.  None where they may not."""
    if plan.window is None or plan.axes[plan.window].stride != 1:
        return None
    subscript, reach = plan.lane_access.subscripts[plan.window], 1
    reach += sum(m.value for m in subscript.offset)
    for coefficient, atom in subscript.terms:
        assert isinstance(atom, Var)
        if atom.name != plan.lanes[-1]:
            reach += coefficient.value * max(extents.ranks[atom.name] - 1, 0)
    name, lanes = plan.lane_access.tensor, extents.ranks[plan.lanes[-1]]
    same = extents.shapes[name][plan.window] == lanes and reach <= lanes
    own = extents.pads[name][plan.window][0]
    found = tuple(shift for shift in range(reach) if shift != own)
    return found if same and len(found) <= MASKS else None


def masks_of(plan: TilePlan, extents: Extents, line: int, lanes: int) -> Array:
    """For each vector of the line and each shift, a bit for each lane whose place is in its row."""
    shifts, row = shifts_of(plan, extents) or (), extents.ranks[plan.lanes[-1]]
    assert plan.window is not None
    own = extents.pads[plan.lane_access.tensor][plan.window][0]
    vectors = -(-line // lanes)
    column = np.arange(vectors * lanes) % max(row, 1)
    found = np.zeros((vectors, MASKS), np.uint16)
    for k, shift in enumerate(shifts):
        at = column + (shift - own)
        kept = ((at >= 0) & (at < row)).reshape(vectors, lanes)
        bits = np.packbits(kept, axis=-1, bitorder="little").astype(np.uint16)
        found[:, k] = bits[:, 0] if lanes == 8 else bits[:, 0] | bits[:, 1] << 8
    return found.reshape(-1)


def reach_of(plan: TilePlan, extents: Extents, tile: int, masked: bool = False) -> float:
    """Elements that a tile of so many lanes reads for each summed place: with windows, places that
    differ by a window's share most of them."""
    lengths = _lengths(plan, extents, masked)
    lane_axes = [a for a in plan.axes if a.rank is not None]
    plane = prod(max(lengths[a.axis], 1) for a in lane_axes)
    line = line_of_lanes(plan, extents, masked)
    phases = prod(a.stride for a in lane_axes)
    planes = prod(max(lengths[a.axis], 1) for a in plan.axes if a.rank is None)
    summed = prod(extents.ranks[rank] for rank in plan.term.ranks)
    return planes * phases * min(plane, plane - line + tile) / max(summed, 1)


def geometry(plan: TilePlan, extents: Extents, shape: TileShape, itemsize: int) -> Geometry:
    """Lay the staged copy out: summed axes, then phases, then the lane axes innermost.

    Where lanes join places, the copy and the panel count in what is joined, and lanes are so many
    elements apart: places z and z + 1 lie side by side unless z + 1 begins another lane.
    """
    access = plan.lane_access
    assert not shape.masked or shifts_of(plan, extents) is not None
    source_shape, lengths = extents.shapes[access.tensor], _lengths(plan, extents, shape.masked)
    joined, inner = shape.joined, joined_axis(plan)
    if inner is not None and not plan.panels:  # its places fill whole lanes
        lengths[inner] = -(-lengths[inner] // joined) * joined
    pitches = _pitches(plan, lengths)
    row = {a.axis: pitches[a.rank] for a in plan.axes if a.rank is not None}
    phase: dict[int, int] = {}
    step = max(prod(max(lengths[a.axis], 1) for a in plan.axes if a.rank), 1)
    lanes = shape.vector_bytes // itemsize
    line = line_of_lanes(plan, extents, shape.masked)
    ends = lying_in(plan, extents, shape.masked, lanes) if shape.lying else None
    if ends is not None:
        step = ends.plane
    for axis in reversed(plan.axes):
        if axis.rank is not None and axis.stride > 1:
            phase[axis.axis] = step
            step *= axis.stride
    plane, places = step, 1
    for axis in reversed(plan.axes):
        if axis.rank is None:
            row[axis.axis] = places * plane
            places *= max(lengths[axis.axis], 1)
    unit = plane if plan.panels else 1
    summed = prod(extents.ranks[rank] for rank in plan.term.ranks)
    cut = shape.block > 0 and not shape.bitmask
    per_block = max(shape.block * places // max(summed, 1), 1) if cut else places
    per_block = -(-places // -(-places // per_block)) if places else 1  # as even as they come
    per_block = -(-per_block // joined) * joined
    cut_into = line if shape.bitmask else -(-line // lanes)
    tiles = tiles_of(cut_into, shape.most)[0] if line else 0
    rows = prod(extents.ranks[r] for r in plan.rows)
    strip = tiles
    if shape.unrolled:
        held = max(rows, per_block // joined if plan.panels else 1) * shape.vector_bytes
        near = shape.near and plan.in_place and rows * line * itemsize < ROWS_FAR
        most = max(STRIP_BYTES // max(held, 1), FEWEST_TILES)
        if near and tiles > most:
            most = max(PANEL_BYTES // max(held, 1), FEWEST_NEAR)
        strip = -(-tiles // -(-tiles // most)) if tiles else 1  # as even as they come
    row_pitch = shape.most * lanes * (strip if shape.unrolled else 1)
    row_pitch = line if shape.bitmask else row_pitch
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
        numbers["panel_places"] = per_block // joined + 1
        held = strip * numbers["panel_places"] if shape.unrolled else places
        numbers["panel_size"] = held * shape.most * lanes * joined
    if shape.unrolled:
        numbers |= {
            "program_rows": shape.rows,
            "members": shape.members,
            "groups": shape.rows // shape.members,
            "strip_tiles": strip,
            "sums_size": row_blocks * shape.rows * row_pitch,
        }
    blocks, span = numbers["blocks"], numbers["block_span"]
    if shape.bitmask:
        per_block = min(shape.block or summed, summed)
        columns = -(-summed // -(-summed // per_block)) if summed else 0  # as even as they come
        numbers["columns"], numbers["summed"] = columns, summed
        numbers["blocks"] = -(-summed // columns) if summed else 1
    staged = (-(-places // joined) * plane + SLACK) * joined
    copied = staged
    if ends is not None:
        numbers |= ends.numbers
        copied = places * ends.copied
    own = shape.unrolled and not plan.panels and copied * itemsize // joined <= OWN_BYTES
    if own:
        numbers["staged_size"] = staged = -(-staged // (lanes * joined)) * lanes * joined
    for axis in plan.axes:
        row[axis.axis] //= unit if axis.rank is None else 1
    return Geometry(
        numbers,
        tuple((row[k], phase.get(k, 0)) for k in range(len(plan.axes))),
        staged,
        numbers["panel_size"],
        row_blocks * shape.rows * row_pitch + SLACK,
        blocks,
        span,
        row_blocks * numbers["blocks"] * _starts_of(shape),
        lengths[plan.window] if shape.masked and plan.window is not None else 0,
        _is_direct(plan, extents, line),
        own,
        plane // unit,
    )


def lying_in(plan: TilePlan, extents: Extents, masked: bool, lanes: int) -> Ends | None:
    """Which vectors of the line are read where they lie, and what is copied of the others."""
    lengths, line = _lengths(plan, extents, masked), line_of_lanes(plan, extents, masked)
    return ends_of(plan, extents, lengths, _pitches(plan, lengths), -(-line // lanes), lanes)


def _is_direct(plan: TilePlan, extents: Extents, line: int) -> bool:
    """Whether rows and lanes come as in the result, ranks of one place left out, and nothing lies
    between the lanes."""
    of_rows, of_lanes, target = (
        [r for r in ranks if extents.ranks[r] != 1]
        for ranks in (plan.rows, plan.lanes, free(plan.form.target))
    )
    return of_rows + of_lanes == target and line == prod(extents.ranks[r] for r in of_lanes)


def _starts_of(shape: TileShape) -> int:
    """Places where columns start, for rows that go together in one block."""
    if shape.bitmask:
        return 1
    return shape.rows // shape.members if shape.unrolled else 2**shape.rows - 1


def _lengths(plan: TilePlan, extents: Extents, masked: bool = False) -> list[int]:
    """How far the axes of the lanes' operand reach in the staged copy, padding included, of one
    with phases each phase; of masked rows the lanes alone."""
    name = plan.lane_access.tensor
    pads = zip(extents.shapes[name], extents.pads[name], strict=True)
    padded = [n + lo + hi for n, (lo, hi) in pads]
    found = [-(-padded[a.axis] // a.stride) for a in plan.axes]
    if masked and plan.window is not None:
        found[plan.window] = extents.ranks[plan.lanes[-1]]
    return found


def _pitches(plan: TilePlan, lengths: Sequence[int]) -> dict[str, int]:
    """Lanes that a step of each lane rank moves."""
    by_rank, step = {a.rank: a for a in plan.axes if a.rank is not None}, 1
    found = {}
    for rank in reversed(plan.lanes):
        found[rank] = step
        step *= max(lengths[by_rank[rank].axis], 1)
    return found
