"""What lies where in memory for the lane schedule: the operands that it has in tiles of lanes, and
the sums that it stores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.walk import single
from zeroskip.native.arguments import Array
from zeroskip.native.geometry import SLACK
from zeroskip.native.integers import ONE, ZERO, Expr, mul
from zeroskip.native.nest_tiles import Stage, StageAxis
from zeroskip.native.scheme import Scheme
from zeroskip.native.scratch import aligned_zeros, on_large_pages
from zeroskip.native.tile_shape import tiles_of

if TYPE_CHECKING:
    from zeroskip.native.lanes import LanePlan


def turned_back(plan: LanePlan, scheme: Scheme, rows: str, result: str) -> Stage:
    """Sums as they are into the result, with what it has behind the lanes innermost."""
    ranks = [single(s) or "" for s in plan.form.target.subscripts]
    at, pitch = ranks.index(plan.rank), scheme.number("row_pitch")

    def size(of: Sequence[str]) -> Expr:
        return mul(ONE, *map(scheme.extent, of))

    outer, inner = ranks[:at], ranks[at + 1 :]
    each = size(inner)
    axes = [
        StageAxis(
            scheme.extent(rank),
            ZERO,
            1,
            mul(size(outer[k + 1 :]), each, pitch),
            ZERO,
            mul(size(ranks[k + 1 :])),
        )
        for k, rank in enumerate(outer)
    ]
    axes.append(StageAxis(each, ZERO, 1, pitch, ZERO, ONE))
    axes.append(StageAxis(scheme.extent(plan.rank), ZERO, 1, ONE, ZERO, each))
    return Stage(result, rows, tuple(axes))


def laid_out(array: Array, axes: tuple[int, ...], lanes_per_vector: int, most: int) -> Array:
    """What the copies of a kernel make: the lanes of the last of ``axes`` tile by tile, zeros
    behind them, for places of the others in that order.

    array : of any shape.  Returns one of one axis, with `SLACK` elements to spare.
    """
    line = array.shape[axes[-1]]
    places = prod(array.shape[axis] for axis in axes[:-1])
    rows = array.transpose(axes).reshape(places, line)
    vectors = -(-line // lanes_per_vector)
    found = aligned_zeros(vectors * lanes_per_vector * len(rows) + SLACK, array.dtype)
    tiles = tiles_of(vectors, most)[0] if line else 0
    for t in range(tiles):
        first, end = (vectors * n // tiles * lanes_per_vector for n in (t, t + 1))
        block = found[first * len(rows) : end * len(rows)].reshape(len(rows), end - first)
        block[:, : min(end, line) - first] = rows[:, first:end]
    return on_large_pages(found)


def numbers(plan: LanePlan, extents: Extents, lanes_per_vector: int, most: int) -> dict[str, int]:
    """Every integer that the kernel is handed beyond extents, by name."""
    lanes = extents.ranks[plan.rank]
    vectors = -(-lanes // lanes_per_vector)
    found = {"row_pitch": vectors * lanes_per_vector}
    found["lane_tiles"] = tiles_of(vectors, most)[0] if lanes else 0
    for access in plan.staged:
        shape, tensor = extents.shapes[access.tensor], access.tensor
        order = plan.axes(access)[:-1]
        for kind, axes in (("from", range(len(shape))), ("to", order)):
            step = 1
            for k in reversed(axes):
                found[f"{tensor}_{kind}{k}"] = step
                step *= shape[k]
        found[f"{tensor}_places"] = prod(shape[k] for k in order)
        for k in order:
            found[f"{tensor}_extent{k}"] = shape[k]
    return found
