"""Lanes of machine code that are read where they lie, and copies of what lies near padding.

Where the rows of an image follow each other in memory as on the line, a vector of the line and all
that its windows reach are places of the image itself, unless they reach past its first or last
place.  Only vectors that do are read from a copy, in which zeros stand around the image:

    place c of the copy      | zeros | first lanes ...  | ... last lanes | zeros |
                               vectors [0, first)         vectors [end, tiles)

Both lie in one place of the image's own length, so that offsets are the same here and there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.tree import Var
from zeroskip.native.integers import ONE, ZERO, Expr, mul, sub
from zeroskip.native.nest_tiles import Lying, Stage, StageAxis
from zeroskip.native.on_line import stage_axis
from zeroskip.native.scheme import Scheme
from zeroskip.native.tile import TilePlan
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Ends:
    """What is copied for the vectors at both ends of the line.

    plane : lanes of a place of the image.  before : zeros that stand before them.
    first, end : vectors that are read where they lie.
    start : the first lane that the vectors behind them reach, zeros counted.
    head, tail : lanes that the ones before and those behind reach, whole vectors before.
    """

    plane: int
    before: int
    first: int
    end: int
    start: int
    head: int
    tail: int

    @property
    def numbers(self) -> dict[str, int]:
        """What the kernel is handed of it."""
        behind = self.start - self.before
        return {
            "lying_before": self.before,
            "lying_first": self.first,
            "lying_end": self.end,
            "lying_behind": self.head - self.start,
            "head_lanes": max(min(self.plane, self.head - self.before), 0),
            "tail_first": behind,
            "tail_into": self.head,
            "tail_lanes": max(min(self.plane - behind, self.tail), 0),
        }

    @property
    def copied(self) -> int:
        """Lanes of a place in the copy."""
        return self.head + self.tail


def ends_of(
    plan: TilePlan,
    extents: Extents,
    lengths: Sequence[int],
    pitches: Mapping[str, int],
    tiles: int,
    lanes: int,
) -> Ends | None:
    """Which vectors are read where they lie; None where the image lies otherwise, or is so small
    that its ends are most of it.

    lengths, pitches : of the line, as `geometry` has them.  tiles : vectors of so many lanes.
    """
    name = plan.lane_access.tensor
    shape, pads = extents.shapes[name], extents.pads[name]
    long = [a for a in plan.axes if shape[a.axis] != 1 or any(pads[a.axis])]
    trailing = _trailing(plan)
    own = [a for a in long if a.rank is not None]
    if plan.panels or not own or own[0].axis < trailing or 0 in shape:
        return None
    if any(any(pads[a.axis]) for a in long if a.rank is None):
        return None
    before = most = 0
    for a in own:
        assert a.rank is not None
        pitch = pitches[a.rank]
        alike = a is own[0] or lengths[a.axis] == shape[a.axis]
        if a.stride != 1 or pitch != prod(shape[a.axis + 1 :]) or not alike:
            return None
        before += pads[a.axis][0] * pitch
        most += _reach(plan, extents, a.axis) * pitch
    plane = prod(shape[trailing:])
    first = min(-(-before // lanes), tiles)
    end = min(max((plane + before - most) // lanes, first), tiles)
    head = -(-(first * lanes + most) // lanes) * lanes if first else 0
    tail = (tiles - end) * lanes + most if end < tiles else 0
    found = Ends(plane, before, first, end, end * lanes, head, tail)
    return found if first < end and 2 * found.copied <= plane else None


def _trailing(plan: TilePlan) -> int:
    """The first of the axes behind the last that is summed alone."""
    return max((a.axis + 1 for a in plan.axes if a.rank is None), default=0)


def _reach(plan: TilePlan, extents: Extents, axis: int) -> int:
    """How far a window reaches along an axis of the lanes."""
    subscript = plan.lane_access.subscripts[axis]
    found = sum(m.value for m in subscript.offset)
    for coefficient, atom in subscript.terms:
        assert isinstance(atom, Var)
        if atom.name not in plan.lanes:
            found += coefficient.value * (extents.ranks[atom.name] - 1)
    return found


# ---- the kernel -------------------------------------------------------------------------


def ends_staged(plan: TilePlan, scheme: Scheme) -> tuple[str, tuple[Stage, ...]]:
    """The array in which both ends lie, and the copies that put them there."""
    tensor, number = plan.lane_access.tensor, scheme.number
    source = scheme.values(tensor)
    target = scheme.buffer(("staged",), f"{tensor}_staged", scheme.dtype, written=True)
    outer = tuple(stage_axis(plan, scheme, a) for a in plan.axes[: _trailing(plan)])

    def copy(lanes: str, start: Expr, into: Expr) -> Stage:
        last = StageAxis(number(lanes), ZERO, 1, ONE, ZERO, ONE)
        return Stage(target, source, (*outer, last), start, into, par=True)

    head = copy("head_lanes", ZERO, number("lying_before"))
    return target, (head, copy("tail_lanes", number("tail_first"), number("tail_into")))


def lying(plan: TilePlan, scheme: Scheme, at: Expr) -> Lying:
    """Where vectors lie of which ``at`` is the first lane of the first, zeros counted."""
    number = scheme.number
    return Lying(
        scheme.values(plan.lane_access.tensor),
        sub(at, number("lying_before")),
        number("lying_first"),
        number("lying_end"),
        number("lying_behind"),
        number("lying_residue"),
        mul(number("blocks"), number("row_blocks")),
    )
