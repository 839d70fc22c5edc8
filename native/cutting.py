"""How the tiled schedule lays entries out and cuts a line up: machine code, columns, or tiles."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

import numpy as np

from zeroskip.native import column_shape, programs, tile
from zeroskip.native.geometry import line_of_lanes
from zeroskip.native.lines import Line
from zeroskip.native.tile_shape import TileShape, begun_early, shape_of, shape_with
from zeroskip.native.unfit import refused
from zeroskip.native.vectors import vector_bytes


def width_of(line: Line) -> int:
    """Bytes of a vector: as is fixed, else the widest there are."""
    return line.fixed.vector_bytes or vector_bytes()


def shape_in(line: Line, plan: tile.TilePlan, bound: Collection[str] = ()) -> TileShape:
    """How the tiled schedule cuts this line up: as is fixed, else as `shape_of` has it."""
    width = width_of(line)
    lanes = width // line.dtype.itemsize
    operand = line.used[plan.entries.tensor]
    stored = operand.size if isinstance(operand, np.ndarray) else operand.stored
    line_vectors = -(-line_of_lanes(plan, line.extents) // lanes)
    wanted, fixed = line.fixed.unrolled, line.fixed
    open_cut = fixed.rows is None and fixed.vectors is None
    if wanted is not False and not fixed.bitmask and open_cut:
        found = programs.shape_or_why(line, plan, bound, stored, width)
        if isinstance(found, TileShape):
            return found
        if wanted:
            raise refused(line, f"expected one that the line can take: {found}")
    if fixed.bitmask is not False and open_cut:
        by_columns = column_shape.shape_or_why(line, plan, bound, stored, width)
        if isinstance(by_columns, TileShape):
            return by_columns
        if fixed.bitmask:
            raise refused(line, f"expected one that the line can take: {by_columns}")
    reach, summed, pitch = programs.sizes_of(line, plan, width)
    default = shape_of(
        width,
        line_vectors,
        prod(line.extents.ranks[rank] for rank in plan.rows),
        stored / max(operand.size, 1),
        bound=plan.entries.tensor in bound or isinstance(operand, np.ndarray),
        in_place=programs.lies_in_place(line, plan),
        reach=reach,
        summed=summed,
        pitch=pitch,
    )
    shape = shape_with(default, line_vectors, fixed.rows, fixed.vectors, fixed.block)
    masks = line.dtype.itemsize >= 4  # of smaller lanes there are none
    return begun_early(shape, line_vectors, pitch if masks else 0)
