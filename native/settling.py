"""A line in the way in which it is run: with which ranks, which bound operands stored anew, and
under which schedule."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from zeroskip.errors import KernelError
from zeroskip.native.arguments import Array
from zeroskip.native.cutting import width_of
from zeroskip.native.dots import DotPlan
from zeroskip.native.flattening import flatten
from zeroskip.native.lanes import LanePlan
from zeroskip.native.lines import Line
from zeroskip.native.prepared import Prepared, Slots
from zeroskip.native.relaid import relaid
from zeroskip.native.schedules import Plan, kernel_of, plans_of, schedule_of
from zeroskip.native.squeezing import squeeze
from zeroskip.native.tile import TilePlan


def scheduled(line: Line, target: Array, bound: Collection[str] = ()) -> tuple[Prepared, Slots]:
    """The kernel of the schedule that pays, with its slots filled; see `settled`."""
    line, schedule = settled(line, bound)
    return kernel_of(line, schedule, target, bound)


def settled(line: Line, bound: Collection[str]) -> tuple[Line, Plan]:
    """A line and its schedule.  Where no lanes have several places, nor is a schedule asked for
    that it takes: without ranks of one place, those that are summed side by side as one, and its
    bound operand stored anew where that makes dots faster."""
    try:
        as_it_is, found = _for_dots(line, bound)
    except KernelError:
        made = flatten(squeeze(line, bound), bound)
        if made is line:
            raise
        return _for_dots(made, bound)
    made = line
    if line.fixed.wanted is None and _lanes(line, found) <= 1:
        made = flatten(squeeze(line, bound), bound)
    if made is line:
        return as_it_is, found
    made, plan = _for_dots(made, bound)
    packed = isinstance(found, TilePlan) and found.entries.tensor in bound
    if plan is None and packed and plans_of(made).shared is None:
        return line, found  # entries that are packed are no slower than a walk like this
    return made, plan


def _for_dots(line: Line, bound: Collection[str]) -> tuple[Line, Plan]:
    """A line and its schedule, its bound operand stored anew where that makes dots faster."""
    if line.fixed.wanted == "dots":
        line = relaid(line, bound, width_of(line))
    found = schedule_of(line, bound)
    if not isinstance(found, DotPlan | None) or line.fixed.wanted in ("plain", "dots"):
        return line, found
    made = relaid(line, bound, width_of(line))
    return (line, found) if made is line else (made, schedule_of(made, bound))


def _lanes(line: Line, plan: Plan) -> int:
    """Places of the ranks that vectors run along."""
    match plan:
        case TilePlan():
            return prod(line.extents.ranks[rank] for rank in plan.lanes)
        case LanePlan():
            return line.extents.ranks[plan.rank]
    return 0
