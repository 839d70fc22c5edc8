"""The lanes of a tiled line on one line: whether they are copied there, and how each axis goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zeroskip.native.integers import ONE, ZERO, Expr, add, mul
from zeroskip.native.joined import staged_as, staged_axis
from zeroskip.native.nest_tiles import Stage, StageAxis
from zeroskip.native.scheme import Scheme

if TYPE_CHECKING:
    from zeroskip.native.tile import LaneAxis, TilePlan


def lanes_on_line(
    plan: TilePlan, scheme: Scheme, in_panel: bool, masked: bool = False, joined: int = 1
) -> tuple[str, tuple[Stage, ...]]:
    """The array in which the lanes lie on one line, and the copy that puts them there.

    in_panel : whether all is read by way of a panel, which takes lanes that lie across, too.
    masked : whether rows follow each other without a halo.
    joined : how many places a lane joins, unless a panel does so.
    """
    source, lanes = scheme.values(plan.lane_access.tensor), plan.lane_access.tensor
    if not is_staged(plan, in_panel):
        return source, ()
    dtype, bias = staged_as(plan, scheme.signatures[lanes].dtype, scheme.dtype, joined)
    target = scheme.buffer(("staged",), f"{lanes}_staged", dtype, written=True)
    joined = 1 if plan.panels else joined
    axes = tuple(stage_axis(plan, scheme, a, joined) for a in plan.axes)
    if masked and _follows(plan):
        axes = (*axes[:-2], _together(axes[-2], axes[-1]))
    return target, (Stage(target, source, axes, par=True, bias=bias),)


def is_staged(plan: TilePlan, in_panel: bool) -> bool:
    """Whether the lanes are copied to one line, before tiles are in a panel or none is."""
    return not plan.in_place and not (plan.across and in_panel)


def steps_of(plan: TilePlan, number: Callable[[str], Expr]) -> tuple[Expr, Expr]:
    """How far the summed places, and the lanes, lie apart in what a panel is copied from."""
    return (ONE, number("places")) if plan.across else (number("line"), ONE)


def stage_axis(plan: TilePlan, scheme: Scheme, at: LaneAxis, joined: int = 1) -> StageAxis:
    """Strides that are 1 for every geometry are written as 1, so that copies become vectors."""
    number, last = scheme.number, at.axis == len(plan.axes) - 1
    if joined > 1:
        return staged_axis(plan, scheme, at, joined)
    return StageAxis(
        number(f"source_extent{at.axis}"),
        scheme.pad(plan.lane_access, at.axis),
        at.stride if at.rank is not None else 1,
        ONE if last else number(f"source_stride{at.axis}"),
        number(f"phase_stride{at.axis}") if at.stride > 1 else ZERO,
        ONE if at.rank == plan.lanes[-1] else number(f"row_stride{at.axis}"),
    )


def _follows(plan: TilePlan) -> bool:
    """Whether the last two axes are those of the last two lane ranks, with steps of 1."""
    last = plan.axes[-2:]
    ranks = tuple(a.rank for a in last)
    return len(last) == 2 and ranks == plan.lanes[-2:] and all(a.stride == 1 for a in last)


def _together(rows: StageAxis, row: StageAxis) -> StageAxis:
    """Rows without a halo, which follow each other in the source too, as one axis."""
    before = add(mul(rows.lo, row.extent), row.lo)
    return StageAxis(mul(rows.extent, row.extent), before, 1, ONE, ZERO, row.row_stride)
